"""The commands, each with its options: the table for reading command lines, for help and for the documentation."""

from __future__ import annotations

from hanoverd.cli.command import Command
from hanoverd.cli.hookbot_commands import MAKE_TOKENS, SERVE
from hanoverd.cli.options import remote
from hanoverd.cli.options.about import DAEMON_HELP, DRY_RUN, HELP, VERSION
from hanoverd.cli.options.container import CONTAINER
from hanoverd.cli.options.container import GROUPS as CONTAINER_GROUPS
from hanoverd.cli.options.handover import HANDOVER
from hanoverd.cli.options.hookbot import BUILDER as BUILDER_OPTIONS
from hanoverd.cli.options.hookbot import HOOKBOT, TRUST
from hanoverd.cli.options.image import BUILD, MAX_ARCHIVE_SIZE, PLATFORM, PULL, REPOSITORY
from hanoverd.cli.options.log import LOG_FORMAT
from hanoverd.cli.options.readiness import READINESS
from hanoverd.cli.options.web import WEB as WEB_OPTIONS

_ENGINE_ENVIRONMENT = (
    ("DOCKER_HOST", "Address of the Docker engine"),
    ("DOCKER_CERT_PATH", "Folder of the TLS certificates for the engine"),
    ("DOCKER_TLS_VERIFY", "Use TLS and verify the engine, if not empty"),
    ("DOCKER_CONFIG", "Folder of Docker's config.json (default: ~/.docker)"),
    ("DOCKER_CONTEXT", "Docker context to use; DOCKER_HOST overrides it"),
)

_RUNTIME_ENVIRONMENT = (("HANOVERD_RUNTIME_DIR", "Folder of the sockets of running daemons"),)

_STATE_ENVIRONMENT = (
    "HANOVERD_STATE_DIR",
    "Folder of what is remembered of apps, such as the number of the next version",
)

DAEMON = Command(
    name="",
    usage="hanoverd [OPTIONS] [IMAGE | SOURCE | @] [ARG...]",
    about="""\
Replaces one version of a Docker application with the next without its users
noticing: starts the new version beside the old one, waits until it is ready,
sends new connections to it, and stops the old one when it has finished.

IMAGE is pulled if it is missing. SOURCE is a repository to build
(github.com/USER/REPO[#BRANCH[:FOLDER]], or its URL), or an archive to load
(docker-archive:PATH, or https://... or s3://... instead of PATH). Without
them, or with @, the Dockerfile of the current folder is built. ARGs are the
container's command. Write the options before IMAGE, SOURCE or @.""",
    options=(
        *HANDOVER,
        *READINESS,
        *CONTAINER,
        *BUILD,
        PULL,
        PLATFORM,
        *REPOSITORY,
        MAX_ARCHIVE_SIZE,
        HOOKBOT,
        *TRUST,
        DRY_RUN,
        LOG_FORMAT,
        DAEMON_HELP,
        VERSION,
    ),
    groups=(
        ("App and handover", HANDOVER[0]),
        ("Readiness", READINESS[0]),
        *((title, options[0]) for title, options in CONTAINER_GROUPS),
        ("Image", BUILD[0]),
        ("Hookbot", HOOKBOT),
        ("General", DRY_RUN),
    ),
    environment=(
        *_ENGINE_ENVIRONMENT,
        ("DOCKER_DEFAULT_PLATFORM", "The same as --platform"),
        ("HOOKBOT_URL", "The same as --hookbot"),
        ("HANOVERD_NOTIFY_SECRET", "Secret that signs the posts of --notify"),
        *_RUNTIME_ENVIRONMENT,
        _STATE_ENVIRONMENT,
    ),
    signals=(
        ("SIGHUP", "Obtain the image again and start a handover"),
        ("SIGTERM, SIGINT", "Remove the rules, stop the containers, and exit"),
    ),
    example="""\
  hanoverd --publish 8080:80 --env HOME --status-uri /health
  hanoverd deploy web --wait     # in another terminal: the next version""",
)

BUILDER = Command(
    name="builder",
    summary="Build and push images, and publish that on a hookbot",
    usage="hanoverd builder [OPTIONS] --listen URL --docker-notify URL",
    about="""\
Builds an image at the start and at each message of a hookbot, pushes it to its
registry, and publishes that on another topic, for the hanoverd that runs the
image. A newer message cancels the build that is running.""",
    options=(*BUILDER_OPTIONS, *BUILD, *REPOSITORY, *TRUST, LOG_FORMAT, HELP),
    environment=(
        ("HOOKBOT_MONITOR_URL", "The same as --listen"),
        ("HOOKBOT_DOCKER_NOTIFY_URL", "The same as --docker-notify"),
        *_ENGINE_ENVIRONMENT,
    ),
    signals=(
        ("SIGHUP", "Build, push and publish again"),
        ("SIGTERM, SIGINT", "Cancel the build that is running, and exit"),
    ),
    example="""\
  hanoverd builder \\
    --listen wss://TOKEN@hook.example/sub/github.com/repo/me/app/branch/main \\
    --docker-notify https://TOKEN@hook.example/pub/docker-pull/me/app/tag/main""",
)

WEB = Command(
    name="web",
    summary="Show all apps of this host in the browser",
    usage="hanoverd web [OPTIONS]",
    about="""\
Serves a page with all apps of this host, whose running hanoverds it asks on
their control sockets, and /metrics of all of them for Prometheus. It is a
process of its own: apps serve on when it ends. At other addresses than loopback
ones, users log in with a token, which the first start prints once.""",
    options=(*WEB_OPTIONS, LOG_FORMAT, HELP),
    environment=(
        *_RUNTIME_ENVIRONMENT,
        ("HANOVERD_STATE_DIR", "Folder of the hash of the token"),
        _ENGINE_ENVIRONMENT[0],
    ),
    signals=(("SIGTERM, SIGINT", "Stop"),),
    example="""\
  hanoverd web --allow-actions
  hanoverd web --bind :8900 --allow-host apps.example.com""",
)

LIST = Command(
    name="list",
    summary="List the apps on this host",
    usage="hanoverd list [OPTIONS]",
    about="""\
Lists the apps on this host, including apps that serve without a running
hanoverd: after --on-exit keep, or after hanoverd was killed.""",
    options=(remote.FORMAT, remote.NO_TRUNC, remote.QUIET, HELP),
    example="  hanoverd list --format json | jq -r .live.image",
    environment=(*_RUNTIME_ENVIRONMENT, *_ENGINE_ENVIRONMENT),
)

STATUS = Command(
    name="status",
    summary="Show an app's status",
    usage="hanoverd status [OPTIONS] APP",
    about="""\
Shows an app's live version, the current or last handover, the draining
versions, the triggers that a pause holds, and the versions for a rollback.""",
    options=(remote.JSON, remote.WATCH, HELP),
    example="  hanoverd status web --watch",
    environment=(*_RUNTIME_ENVIRONMENT, *_ENGINE_ENVIRONMENT),
)

DEPLOY = Command(
    name="deploy",
    summary="Start a handover",
    usage="hanoverd deploy [OPTIONS] APP",
    about="""\
Starts a handover, as SIGHUP does, but also while the app is paused. A handover
that is running and not live yet is cancelled first.""",
    options=(remote.IMAGE, remote.IF_CHANGED, remote.STATUS_TIMEOUT, remote.WAIT, HELP),
    example="  hanoverd deploy web --image registry.example/web:v2 --wait",
    environment=_RUNTIME_ENVIRONMENT,
)

DIFF = Command(
    name="diff",
    summary="Show what the next handover would change",
    usage="hanoverd diff [OPTIONS] APP [OPTIONS] [IMAGE | SOURCE | @] [ARG...]",
    about="""\
Shows what the next handover would change about the live version: its image and
its settings. Nothing is built, pulled or started. APP alone asks the running
hanoverd. With the options of a start, or with IMAGE or SOURCE, it shows what a
restart of hanoverd with these would change, also if no hanoverd runs; write
--name APP instead of APP to take over a command line as it is. Values that can
be secret are not shown. Exits with 0 if nothing differs, with 1 if something
does or if that is not known yet, and with 2 if it fails.""",
    options=(remote.DIFF_FORMAT, HELP),
    more=tuple(option for option in DAEMON.options if option.name not in ("help", "version", "dry-run")),
    example="""\
  hanoverd diff web
  hanoverd diff web --publish 8080:80 --memory 256m registry.example/web:v2""",
    environment=(*_RUNTIME_ENVIRONMENT, *_ENGINE_ENVIRONMENT),
)

ROLLBACK = Command(
    name="rollback",
    summary="Go back to an earlier version",
    usage="hanoverd rollback [OPTIONS] APP [VERSION]",
    about="""\
Starts a handover to the version before the live one, or to VERSION: a new
version with the same image, by its ID, and the settings that it had. Repeated
rollbacks go further back. `hanoverd versions` lists the versions that are kept.
The next trigger deploys the newest image again: see pause.""",
    options=(remote.WAIT, HELP),
    example="  hanoverd pause web; hanoverd rollback web --wait",
    environment=_RUNTIME_ENVIRONMENT,
)

VERSIONS = Command(
    name="versions",
    summary="List an app's versions",
    usage="hanoverd versions [OPTIONS] APP",
    about="""\
Lists the live version, draining versions, and versions kept for a rollback:
when each was created, and what its image was made of. A version keeps its
number for ever, and no number is used twice.""",
    options=(remote.FORMAT, remote.NO_TRUNC, HELP),
    example="  hanoverd versions web",
    environment=(*_RUNTIME_ENVIRONMENT, *_ENGINE_ENVIRONMENT),
)

STOP = Command(
    name="stop",
    summary="Stop an app",
    usage="hanoverd stop APP",
    about="""\
Stops an app and its hanoverd, also one with --on-exit keep: removes the routes,
stops the containers and removes them, and waits until that is done. If no
hanoverd runs for the app, it does all of this itself, which needs root. Use
`systemctl stop` for a hanoverd that systemd always restarts.""",
    options=(HELP,),
    example="  hanoverd stop web",
    environment=(*_RUNTIME_ENVIRONMENT, *_ENGINE_ENVIRONMENT),
)

CANCEL = Command(
    name="cancel",
    summary="Cancel the running handover",
    usage="hanoverd cancel APP",
    about="""\
Cancels the running handover, unless its version is live already. The live
version keeps running. Exits with 1 if there is nothing to cancel.""",
    options=(HELP,),
    example="  hanoverd cancel web",
    environment=_RUNTIME_ENVIRONMENT,
)

PAUSE = Command(
    name="pause",
    summary="Hold the triggers of handovers",
    usage="hanoverd pause APP",
    about="""\
Holds SIGHUP and the messages of a hookbot until `hanoverd resume`. The commands
deploy and rollback still work, and a version that exits is restarted.""",
    options=(HELP,),
    example="  hanoverd pause web",
    environment=_RUNTIME_ENVIRONMENT,
)

RESUME = Command(
    name="resume",
    summary="End a pause",
    usage="hanoverd resume APP",
    about="Ends a pause. If triggers were held, one handover starts.",
    options=(HELP,),
    example="  hanoverd resume web",
    environment=_RUNTIME_ENVIRONMENT,
)

LOGS = Command(
    name="logs",
    summary="Show an app's log, with the output of its versions",
    usage="hanoverd logs [OPTIONS] APP",
    about="""\
Shows the last 2000 entries of the log: what the app's hanoverd logs, and what
the app's versions print (`web-3  | line`), also across handovers.""",
    options=(
        remote.FOLLOW,
        remote.APP,
        remote.DAEMON,
        remote.TIMESTAMPS,
        remote.SINCE,
        remote.JSON_LINES,
        remote.TAIL_ENTRIES,
        HELP,
    ),
    example="  hanoverd logs web --tail 20 -f",
    environment=_RUNTIME_ENVIRONMENT,
)

EVENTS = Command(
    name="events",
    summary="Show what happens to an app, as it happens",
    usage="hanoverd events [OPTIONS] APP",
    about="""\
Shows events until it is interrupted, one a line: the phases of handovers, what
goes live, drains and stops, repairs of the firewall, failures. The last 1000
events are kept, for --since.""",
    options=(remote.EVENTS_SINCE, remote.EVENTS_OUTPUT, remote.EVENTS_FORMAT, HELP),
    example="  hanoverd events web --since 10m --format json | jq -r .event",
    environment=_RUNTIME_ENVIRONMENT,
)

HISTORY = Command(
    name="history",
    summary="Show an app's handovers",
    usage="hanoverd history [OPTIONS] APP",
    about="""\
Shows the last handovers, the newest first: the trigger and who asked, the time
it took, the outcome and the reason. Earlier runs of the app's hanoverd count,
too, and no hanoverd has to run. --no-trunc also shows what changed, the phases,
and how the connections of the replaced version ended; --format json shows all.""",
    options=(remote.SINCE, remote.LIMIT, remote.FORMAT, remote.NO_TRUNC, HELP),
    example="""\
  hanoverd history web --no-trunc
  hanoverd history web --since 24h --format json | jq -r .outcome""",
    environment=(*_RUNTIME_ENVIRONMENT, _STATE_ENVIRONMENT),
)

HELP_COMMAND = Command(
    name="help",
    summary="Show this help, or that of a command",
    usage="hanoverd help [COMMAND]",
    about="Shows the help of hanoverd, or of one of its commands.",
    options=(HELP,),
    example="  hanoverd help deploy",
)

VERSION_COMMAND = Command(
    name="version",
    summary="Show the version of hanoverd",
    usage="hanoverd version",
    about="Shows the version of hanoverd.",
    options=(HELP,),
    example="  hanoverd version",
)

#: The commands for a running daemon.
REMOTE = (LIST, STATUS, VERSIONS, DEPLOY, ROLLBACK, CANCEL, PAUSE, RESUME, STOP, LOGS, EVENTS, HISTORY)

#: All commands that have a name.
COMMANDS = (*REMOTE, DIFF, BUILDER, WEB, SERVE, MAKE_TOKENS, HELP_COMMAND, VERSION_COMMAND)
