"""The programs in the box, each with its options.

The command line is read by this table; help and documentation are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.commandline.table import ABOUT, CONTAINER, HANDOVER, HOOKBOT, IMAGE, LISTEN, Kind, Option

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


_ENGINE_ENVIRONMENT = (
    ("DOCKER_HOST", "Address of the Docker engine"),
    ("DOCKER_CERT_PATH", "Folder of the TLS certificates for it"),
    ("DOCKER_TLS_VERIFY", "Use TLS, and verify the engine, when not empty"),
    ("DOCKER_CONFIG", "Folder of Docker's config.json (default: ~/.docker)"),
    ("DOCKER_CONTEXT", "Docker context to use; DOCKER_HOST goes before it"),
)

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
    options=(*CONTAINER, *HANDOVER, *IMAGE, LISTEN, *HOOKBOT, *ABOUT),
    environment=(*_ENGINE_ENVIRONMENT, ("HOOKBOT_URL", "What --hookbot is where it is not given")),
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

#: Those that have a name; the first two words, or the first, of a command line choose one.
COMMANDS = (BUILDER, SERVE, MAKE_TOKENS)
