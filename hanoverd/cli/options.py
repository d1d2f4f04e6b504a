"""The options that programs share, in groups: how each is written, what it takes, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What an option does with a value."""

    VALUE = "the last one counts"
    BOOLEAN = "needs none; true or false may follow a ="
    REPEATED = "each one counts"


@dataclass(frozen=True)
class Option:
    """One option.

    ``help`` is one line for ``--help``; ``text`` says the rest, in reStructuredText, for the documentation.
    ``default`` is written as a user would; None where leaving the option out has a meaning of its own.
    """

    name: str
    help: str
    letter: str | None = None
    kind: Kind = Kind.VALUE
    metavar: str = ""
    default: str | None = None
    text: str = ""

    @property
    def flags(self) -> str:
        """How messages call it: ``-e, --env``."""
        return f"-{self.letter}, --{self.name}" if self.letter else f"--{self.name}"


CONTAINER = (
    Option(
        name="env",
        letter="e",
        kind=Kind.REPEATED,
        metavar="NAME[=VALUE]",
        help="Set an environment variable of the container",
        text="""\
As Docker's option of this name. ``NAME`` alone passes the variable on from hanoverd's own environment;
where that does not have it, the container does not get the image's value either. Nothing in VALUE is
expanded, and the last of a NAME counts. A variable that hanoverd would set itself (``HANOVERD_IMAGE``
and so on) can be overridden. VALUE is not seen in the list of processes.""",
    ),
    Option(
        name="publish",
        letter="p",
        kind=Kind.REPEATED,
        metavar="[HOSTIP:][HOSTPORT:]PORT[/tcp]",
        help="Lead a port of the host to a port of the live version",
        text="""\
All of Docker's spellings: ``8080:80``, ``127.0.0.1:8080:80``, ``8080-8082:80-82`` (three ports, one by
one), ``8080-8090:80`` (any free one of these), ``80`` (any free one), ``published=8080,target=80``. The
host port belongs to hanoverd: it is picked once, kept for all versions, and moved from one version to
the next when that is ready. The port need not be EXPOSEd by the image. So far tcp over IPv4 only.""",
    ),
    Option(
        name="volume",
        letter="v",
        kind=Kind.REPEATED,
        metavar="[SOURCE:]TARGET[:MODE]",
        help="Mount a folder of the host, or a volume, in the container",
        text="""\
As Docker's option of this name. A SOURCE that begins with ``/`` or ``.`` is a folder, any other the
name of a volume; both are shared by the versions that run side by side. Without SOURCE each version
gets a new, empty volume, removed with it. MODE is a list with commas of ``ro`` or ``rw``, ``z`` or
``Z``, ``[r]private``, ``[r]shared`` or ``[r]slave``, ``nocopy``.""",
    ),
    Option(
        name="mount",
        kind=Kind.REPEATED,
        metavar="KEY=VALUE,...",
        help="Mount a folder, a volume, an image or a tmpfs",
        text="""\
As Docker's option of this name: ``type=bind,source=/srv/data,target=/data,readonly``. A source that
begins with ``.`` is relative to the current folder. The versions that run side by side share the
source.""",
    ),
    Option(
        name="stop-signal",
        metavar="SIGNAL",
        help="Signal that asks a version to end (default: the image's, else SIGTERM)",
    ),
    Option(
        name="stop-timeout",
        metavar="SECONDS",
        help="Time from the stop signal until a version is killed (default: 10 seconds)",
        text="Whole seconds (``30``), or a duration of whole seconds (``1m``); ``-1`` waits for ever.",
    ),
)

HANDOVER = (
    Option(
        name="name",
        metavar="NAME",
        help="Name of the app (default: from the folder or the image)",
        text="""\
Containers and their hostnames are called NAME-N, where N counts the versions from 0. One host serves
one app of a name. The default is the current folder's name, or the last part of the image's repository.""",
    ),
    Option(
        name="status-uri",
        metavar="URI",
        default="/",
        help="Path that a version answers with 200 when it is ready",
        text="""\
A path with, if need be, a query; it begins with ``/``. One published port has to answer ``200`` there,
every other published port to accept connections.""",
    ),
    Option(
        name="status-timeout",
        metavar="DURATION",
        default="5m",
        help="Time within which a new version must be ready",
        text="Counted in all, from the container's start. A version that takes longer is removed.",
    ),
    Option(
        name="obtain-timeout",
        metavar="DURATION",
        default="30m",
        help="Time within which an image must be built, pulled or loaded",
        text="A handover whose image takes longer fails, and what was under way is cancelled.",
    ),
    Option(
        name="disable-overlap",
        kind=Kind.BOOLEAN,
        help="Stop the old version before the new one is started",
        text="""\
For an app of which two must not run at once. The image is obtained and the container created first, so
that the pause is short; if the new version fails, the old one is started again.""",
    ),
    Option(
        name="overlap-grace-duration",
        metavar="DURATION",
        default="1s",
        help="Time that an old version is left alone, connections or not",
        text="Counted from the moment at which the new version takes over.",
    ),
    Option(
        name="drain-timeout",
        metavar="DURATION",
        default="30s",
        help="Time that an old version has at most to finish its connections",
        text="""\
The old version is stopped as soon as it has no connections left, after this time in any case. Without
the program ``conntrack`` nobody can count them, and it always takes the whole time.""",
    ),
    Option(
        name="drain-signal",
        metavar="SIGNAL",
        help="Signal that tells the old version that it is being replaced (default: none)",
        text="""\
Sent when the new version takes over. An app that answers ``Connection: close`` from then on loses no
request of any client, however careless the client is with connections that it keeps open.""",
    ),
    Option(
        name="restart",
        metavar="no|always|unless-stopped|on-failure[:N]",
        default="always",
        help="Whether a live version that exits is started again",
        text="""\
As docker run's option of this name. The same image is started as a new version, which must become ready
like any other: after 100 ms, and after twice as long each time, at most a minute; a version that was live for
10 s begins anew. An old version that is still finishing its connections serves meanwhile.
``unless-stopped`` is the same as ``always``.""",
    ),
    Option(
        name="settle",
        metavar="DURATION",
        default="0s",
        help="Time for which the version before is kept running, to be live again",
        text="""\
If the new version exits, or fails its ``--watch``, within this time of going live, the one that it has replaced is live
again at once, and nothing more is tried until the next trigger.""",
    ),
    Option(
        name="watch",
        metavar="DURATION",
        default="0s",
        help="How often to probe the live version; 0 is never",
        text="""\
It is probed as for readiness; that its image's HEALTHCHECK calls it unhealthy counts as a failure too. After ``--watch-failures`` failures in a row another version of the same image is brought
up in its place, if ``--restart`` allows it; until that is ready, it goes on serving.""",
    ),
    Option(
        name="watch-failures",
        metavar="N",
        default="3",
        help="After how many failures in a row the live version is replaced",
    ),
    Option(
        name="on-exit",
        metavar="stop|keep",
        default="stop",
        help="What becomes of the live version when hanoverd stops",
        text="""\
``stop`` takes the rules out and ends it. ``keep`` leaves it and its rules, so that a restart or an upgrade of
hanoverd costs no request: the next start with the same ``--name`` takes it over.""",
    ),
    Option(
        name="keep-versions",
        metavar="N",
        default="1",
        help="How many versions to keep, stopped, that can be gone back to",
        text="""\
``hanoverd rollback`` goes back to them: the last N whose image or settings differ from the live one's. Their
containers are called NAME-N-kept. Images of older ones are removed, if it was hanoverd that obtained them,
and nobody else has given them a name or uses them. A stop removes the containers, unless ``--on-exit``
is ``keep``.""",
    ),
    Option(
        name="hook",
        kind=Kind.REPEATED,
        metavar="EVENT=COMMAND",
        help="Run a shell command at obtained, ready, live, failed, drained or died",
        text="""\
The environment tells HANOVERD_EVENT, HANOVERD_APP, HANOVERD_NEW and HANOVERD_OLD (the containers of the version that
it is about, and of the one that was live before), HANOVERD_NEW_ID and HANOVERD_OLD_ID, HANOVERD_IMAGE, HANOVERD_IMAGE_ID and HANOVERD_REASON. The output
is logged, and the command ended after 60 s. Only at ``ready`` is it waited for: if it fails, the new version does not
go live.""",
    ),
    Option(
        name="notify",
        kind=Kind.REPEATED,
        metavar="URL",
        help="Post each event to a web hook, as JSON",
        text="""\
The keys are ``event``, ``app``, ``new``, ``new_id``, ``old``, ``old_id``, ``image``, ``image_id`` and ``reason``. It is tried five times; nothing
waits for it.""",
    ),
)

IMAGE = (
    Option(
        name="build-file",
        metavar="PATH",
        help="Dockerfile to build (default: Dockerfile, in the folder that is built)",
        text="""\
As docker build's ``--file``: it may be outside of the folder. For a repository, a path in the folder of
it that is built.""",
    ),
    Option(
        name="build-arg",
        kind=Kind.REPEATED,
        metavar="NAME[=VALUE]",
        help="Set a build argument",
        text="As docker build's option of this name: ``NAME`` alone takes the value from hanoverd's own environment.",
    ),
    Option(name="build-target", metavar="STAGE", help="Stage of the Dockerfile to build (default: the last)"),
    Option(name="no-cache", kind=Kind.BOOLEAN, help="Build without the engine's cache"),
    Option(
        name="builder",
        metavar="auto|classic|buildkit",
        default="auto",
        help="Who builds",
        text="""\
``classic`` is the engine's own builder, ``buildkit`` BuildKit by way of the docker command, which has to
be on PATH, with the plugin buildx from Docker 23 on. ``auto`` takes the classic one, unless the Dockerfile
needs BuildKit: ``# syntax=``, ``RUN --mount``, ``COPY --link``, ``<<EOF`` and the like.""",
    ),
    Option(
        name="pull",
        metavar="always|missing|never",
        help="When to pull an image (default: missing; with --hookbot, always)",
        text="As docker run's option of this name, at each handover.",
    ),
    Option(
        name="git-protocol",
        metavar="https|ssh",
        default="https",
        help="How to reach a repository that is named HOST/USER/REPO",
        text="""\
By https, git's credential helpers are asked for a login, by ssh (as the user ``git``) its agent and keys.
Nothing ever asks at the terminal. What ``GIT_SSH_COMMAND`` and git's configuration say counts.""",
    ),
    Option(
        name="state-dir",
        metavar="FOLDER",
        default=".",
        help="Where to keep the copies of repositories, below src/",
    ),
)

HOOKBOT = (
    Option(
        name="hookbot-ca",
        metavar="FILE",
        help="Certificates (PEM) to trust in hookbot's, instead of the system's",
    ),
    Option(
        name="hookbot-unsafe",
        kind=Kind.BOOLEAN,
        help="Allow a URL below /unsafe/, where anybody may publish",
    ),
)

LOG = (
    Option(
        name="log-format",
        metavar="text|json",
        default="text",
        help="Format of the log: lines for people, or one JSON object per line",
        text="""\
An object has ``time``, ``level``, ``event``, ``message`` and the fields of the event. The log goes where twistd's own
options say: standard output, or ``twistd --logfile FILE hanoverd ...``, or ``--syslog``.""",
    ),
)

LISTEN = Option(
    name="hookbot",
    metavar="URL",
    help="Begin a handover at each message of this hookbot (default: HOOKBOT_URL)",
    text="""\
``wss://TOKEN@HOST/sub/TOPIC``; also ws, https, http. The topic says what to obtain:
``HOST/repo/USER/REPO/branch/BRANCH``, with ``#FOLDER`` if not the top of the repository is built;
``docker-pull/REPOSITORY/tag/TAG``; ``hanoverd/cwd``, the current folder. The token in the environment
variable is seen by fewer people than the one on the command line.""",
)

ABOUT = (
    Option(name="help", kind=Kind.BOOLEAN, help="Show this help and exit"),
    Option(name="version", kind=Kind.BOOLEAN, help="Show hanoverd's version and exit"),
)
