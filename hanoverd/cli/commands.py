"""The programs in the box, each with its options.

The command line is read by this table; help and documentation are made from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hanoverd.cli.options import ABOUT, CONTAINER, HANDOVER, HOOKBOT, IMAGE, LISTEN, LOG, Kind, Option
from hanoverd.runtime.errors import UsageError

_HELP = ABOUT[:1]


@dataclass(frozen=True)
class Command:
    """What the words of ``name`` stand for as the first arguments: another program in the same box."""

    name: str
    usage: str
    about: str
    options: tuple[Option, ...]
    environment: tuple[tuple[str, str], ...] = ()
    signals: tuple[tuple[str, str], ...] = ()
    example: str = ""
    summary: str = ""


_ENGINE_ENVIRONMENT = (
    ("DOCKER_HOST", "Address of the Docker engine"),
    ("DOCKER_CERT_PATH", "Folder of the TLS certificates for it"),
    ("DOCKER_TLS_VERIFY", "Use TLS, and verify the engine, when not empty"),
    ("DOCKER_CONFIG", "Folder of Docker's config.json (default: ~/.docker)"),
    ("DOCKER_CONTEXT", "Docker context to use; DOCKER_HOST goes before it"),
)

_RUNTIME_ENVIRONMENT = (("HANOVERD_RUNTIME_DIR", "Folder of the sockets of running hanoverds"),)

DAEMON = Command(
    name="",
    usage="hanoverd [OPTIONS] [IMAGE | SOURCE | @] [ARG...]",
    about="""\
Replaces one version of a Docker application with the next without its users
noticing: starts the new version beside the old one, waits until it is ready,
leads the traffic to it, and lets the old one finish.

With none of them, or with @, the Dockerfile of the current folder is built.
IMAGE is used, and pulled if it is not there. SOURCE is a repository to build
(github.com/USER/REPO[#BRANCH[:FOLDER]], or its URL) or an archive to load
(docker-archive:PATH, or https://..., s3://... in its place). ARGs are the
container's command. Options end at IMAGE, SOURCE or @.""",
    options=(*CONTAINER, *HANDOVER, *IMAGE, LISTEN, *HOOKBOT, *LOG, *ABOUT),
    environment=(
        *_ENGINE_ENVIRONMENT,
        ("HOOKBOT_URL", "What --hookbot is where it is not given"),
        *_RUNTIME_ENVIRONMENT,
        ("HANOVERD_STATE_DIR", "Folder of what is remembered of apps, such as the number of the next version"),
    ),
    signals=(
        ("SIGHUP", "Obtain the image anew and hand over to a new version"),
        ("SIGTERM, SIGINT", "Stop: take the rules out, end the containers, exit"),
    ),
    example="""\
  hanoverd --publish 8080:80 --env HOME --status-uri /health
  kill -HUP $(pgrep -x hanoverd)     # builds and hands over again""",
)

BUILDER = Command(
    name="builder",
    summary="Build, push, and tell those who run it",
    usage="hanoverd builder [OPTIONS] --listen URL --docker-notify URL",
    about="""\
Builds an image at the start and at each message of a hookbot, pushes it to its
registry, and tells another topic of hookbot, to which a hanoverd listens that
runs it. A newer message cancels a build that is under way.""",
    options=(
        Option(
            name="listen",
            metavar="URL",
            help="What to build, and when (default: HOOKBOT_MONITOR_URL)",
            text="As ``--hookbot`` of hanoverd itself.",
        ),
        Option(
            name="docker-notify",
            metavar="URL",
            help="Where to tell of the image, and its name (default: HOOKBOT_DOCKER_NOTIFY_URL)",
            text="""\
``https://TOKEN@HOST/pub/docker-pull/REPOSITORY/tag/TAG``: the image is pushed as ``REPOSITORY:TAG``, with
the login that ``docker login`` has left, then ``UPDATE`` is published there.""",
        ),
        Option(
            name="once",
            kind=Kind.BOOLEAN,
            help="Build, push and tell once, then exit: 0 if all of it worked, else 1",
        ),
        *(option for option in IMAGE if option.name != "pull"),
        *HOOKBOT,
        *LOG,
        *_HELP,
    ),
    environment=(
        ("HOOKBOT_MONITOR_URL", "What --listen is where it is not given"),
        ("HOOKBOT_DOCKER_NOTIFY_URL", "What --docker-notify is where it is not given"),
        *_ENGINE_ENVIRONMENT,
    ),
    signals=(
        ("SIGHUP", "Build, push and tell once more"),
        ("SIGTERM, SIGINT", "Stop: cancel what is under way, exit"),
    ),
    example="""\
  hanoverd builder \\
    --listen wss://TOKEN@hook.example/sub/github.com/repo/me/app/branch/main \\
    --docker-notify https://TOKEN@hook.example/pub/docker-pull/me/app/tag/main""",
)

SERVE = Command(
    name="hookbot serve",
    summary="Be a hookbot",
    usage="hanoverd hookbot serve [OPTIONS]",
    about="""\
Serves a hookbot: what is POSTed to /pub/TOPIC is sent to the websockets that
listen to /sub/TOPIC. Both need a token for the path, which make-tokens makes.""",
    options=(
        Option(
            name="bind",
            letter="b",
            metavar="[HOST]:PORT",
            default=":8080",
            help="Address to listen on",
        ),
        Option(name="tls-cert", metavar="FILE", help="Certificate and chain (PEM), to serve https and wss"),
        Option(name="tls-key", metavar="FILE", help="Its key (PEM)"),
        Option(
            name="router",
            kind=Kind.REPEATED,
            metavar="github",
            help="Publish the pushes that webhooks tell of as messages",
            text="""\
``github``: give GitHub the webhook ``https://HOST/unsafe/pub/github.com/?extra-metadata=github`` (JSON, with
HOOKBOT_GITHUB_SECRET as its secret); a push is then published at
``/pub/github.com/repo/USER/REPO/branch/BRANCH``.""",
        ),
        *LOG,
        *_HELP,
    ),
    environment=(
        ("HOOKBOT_KEY", "The secret with which tokens are made; needed"),
        ("HOOKBOT_GITHUB_SECRET", "The secret of GitHub's webhooks; needed by --router github"),
    ),
    signals=(("SIGTERM, SIGINT", "Stop"),),
    example="  HOOKBOT_KEY=$(cat key) hanoverd hookbot serve --bind :8080",
)

MAKE_TOKENS = Command(
    name="hookbot make-tokens",
    summary="Print URLs with their tokens",
    usage="hanoverd hookbot make-tokens [OPTIONS] URL-OR-PATH...",
    about="""\
Prints each URL with the token for it. A token for a path that ends in a slash
is good for all below it; one for a path without /pub or /sub is good for both.""",
    options=(
        Option(name="bare", kind=Kind.BOOLEAN, help="Print the tokens alone"),
        Option(
            name="url-base",
            letter="U",
            metavar="URL",
            help="Where paths are (default: HOOKBOT_URL_BASE, else http://localhost:8080)",
        ),
        *_HELP,
    ),
    environment=(
        ("HOOKBOT_KEY", "The secret with which tokens are made; needed"),
        ("HOOKBOT_URL_BASE", "What --url-base is where it is not given"),
    ),
    example="  HOOKBOT_KEY=$(cat key) hanoverd hookbot make-tokens /sub/hanoverd/cwd",
)

_TRUNC = Option(name="no-trunc", kind=Kind.BOOLEAN, help="Show IDs and reasons in full")
_FORMAT = Option(name="format", metavar="table|json", default="table", help="How to show it; json is an object a line")
_WAIT = Option(
    name="wait",
    kind=Kind.BOOLEAN,
    help="Follow the handover to its end; exit with 1 unless it goes live",
)

LIST = Command(
    name="list",
    summary="Show the apps that are served here",
    usage="hanoverd list [OPTIONS]",
    about="Shows the apps that are served here, each by a running hanoverd.",
    options=(
        _FORMAT,
        _TRUNC,
        Option(name="quiet", letter="q", kind=Kind.BOOLEAN, help="Show the names alone"),
        *_HELP,
    ),
    example="  hanoverd list --format json | jq -r .live.image",
    environment=_RUNTIME_ENVIRONMENT,
)

STATUS = Command(
    name="status",
    summary="Show how an app is",
    usage="hanoverd status [OPTIONS] APP",
    about="""\
Shows how an app is: its live version, the handover under way or the last one,
the versions that still finish, what is held, what can be gone back to.""",
    options=(
        Option(name="json", kind=Kind.BOOLEAN, help="Show all of it as JSON"),
        Option(
            name="watch",
            letter="w",
            kind=Kind.BOOLEAN,
            help="Go on showing it; with --json, a line at each change",
        ),
        *_HELP,
    ),
    example="  hanoverd status web --watch",
    environment=_RUNTIME_ENVIRONMENT,
)

DEPLOY = Command(
    name="deploy",
    summary="Begin a handover",
    usage="hanoverd deploy [OPTIONS] APP",
    about="""\
Begins a handover, as SIGHUP does, also while the app is paused; one that is
under way and not live yet is cancelled.""",
    options=(
        Option(
            name="image",
            metavar="IMAGE",
            help="Image to hand over to, this once, instead of what the app's source has",
        ),
        _WAIT,
        *_HELP,
    ),
    example="  hanoverd deploy web --image registry.example/web:v2 --wait",
    environment=_RUNTIME_ENVIRONMENT,
)

ROLLBACK = Command(
    name="rollback",
    summary="Go back to an earlier version",
    usage="hanoverd rollback [OPTIONS] APP [GENERATION]",
    about="""\
Begins a handover to the version before the live one, or to that of GENERATION:
the same image, by its ID, with the settings that it ran with. `hanoverd status`
lists those that are kept. The next trigger brings the newest again: see pause.""",
    options=(_WAIT, *_HELP),
    example="  hanoverd pause web; hanoverd rollback web --wait",
    environment=_RUNTIME_ENVIRONMENT,
)

CANCEL = Command(
    name="cancel",
    summary="Cancel the handover that is under way",
    usage="hanoverd cancel APP",
    about="""\
Cancels the handover that is under way, unless it is live already; the live
version goes on. Exits with 1 if there was nothing to cancel, or too late.""",
    options=_HELP,
    example="  hanoverd cancel web",
    environment=_RUNTIME_ENVIRONMENT,
)

PAUSE = Command(
    name="pause",
    summary="Hold what triggers handovers",
    usage="hanoverd pause APP",
    about="""\
Holds SIGHUP and what hookbot says, until `hanoverd resume`. Handovers by hand
(deploy, rollback) are done, and a version that dies is started again.""",
    options=_HELP,
    example="  hanoverd pause web",
    environment=_RUNTIME_ENVIRONMENT,
)

RESUME = Command(
    name="resume",
    summary="Do what was held",
    usage="hanoverd resume APP",
    about="Ends a pause; what was held begins one handover.",
    options=_HELP,
    example="  hanoverd resume web",
    environment=_RUNTIME_ENVIRONMENT,
)

LOGS = Command(
    name="logs",
    summary="Show an app's log, and what its versions print",
    usage="hanoverd logs [OPTIONS] APP",
    about="""\
Shows the last 2000 entries of the log: what the app's hanoverd logs, and what
the app's versions print (`web-3  | line`), also across handovers.""",
    options=(
        Option(name="follow", letter="f", kind=Kind.BOOLEAN, help="Go on with what is logged from now on"),
        Option(name="app", kind=Kind.BOOLEAN, help="Show only what the app's versions print"),
        Option(name="daemon", kind=Kind.BOOLEAN, help="Show only what hanoverd logs"),
        Option(name="timestamps", letter="t", kind=Kind.BOOLEAN, help="Show the time of each entry"),
        Option(name="since", metavar="DURATION", help="Show the entries of the last DURATION, as in 10m"),
        Option(name="json", kind=Kind.BOOLEAN, help="Show a JSON object per line, as --log-format json does"),
        Option(name="tail", letter="n", metavar="N", default="all", help="How many of the last entries to show"),
        *_HELP,
    ),
    example="  hanoverd logs web --tail 20 -f",
    environment=_RUNTIME_ENVIRONMENT,
)

HISTORY = Command(
    name="history",
    summary="Show an app's handovers",
    usage="hanoverd history [OPTIONS] APP",
    about="""\
Shows the last 100 handovers since the app's hanoverd was started, the newest
first: what began each, how long it took, what it came to, and why.""",
    options=(_FORMAT, _TRUNC, *_HELP),
    example="  hanoverd history web --no-trunc",
    environment=_RUNTIME_ENVIRONMENT,
)

#: Those that speak with a hanoverd that runs.
REMOTE = (LIST, STATUS, DEPLOY, ROLLBACK, CANCEL, PAUSE, RESUME, LOGS, HISTORY)

#: Those that have a name; the first two words, or the first, of a command line choose one.
COMMANDS = (BUILDER, SERVE, MAKE_TOKENS, *REMOTE)


def command_of(argv: Sequence[str]) -> tuple[Command, tuple[str, ...]]:
    """Which program is meant, and what is left for it."""
    for command in COMMANDS:
        words = command.name.split()
        if list(argv[: len(words)]) == words:
            return command, tuple(argv[len(words) :])
    groups = {command.name.split()[0] for command in COMMANDS if " " in command.name}
    if argv and argv[0] in groups:
        names = " or ".join(f"`hanoverd {command.name}`" for command in COMMANDS if command.name.startswith(argv[0]))
        raise UsageError(f"write {names} (for an image of this name, {argv[0]}:latest)")
    return DAEMON, tuple(argv)
