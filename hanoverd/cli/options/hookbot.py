"""The options of following a hookbot, and of the builder, which does nothing else."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import BOOLEAN, POSITIVE_DURATION

HOOKBOT = Option(
    name="hookbot",
    metavar="URL",
    help="Start a handover at each message of this hookbot (default: HOOKBOT_URL)",
    text="""\
``wss://TOKEN@HOST/sub/TOPIC``; also ws, https, http. The topic says what to obtain: a repository with
``HOST/repo/USER/REPO/branch/BRANCH``, followed by ``#FOLDER`` to build a folder in it; an image with
``docker-pull/REPOSITORY/tag/TAG``; the current folder with ``hanoverd/cwd``. A token in the environment variable is
visible to fewer users than one on the command line.""",
    secret=Secret.IN_URL,
    variable="HOOKBOT_URL",
)

TRUST = (
    Option(
        name="hookbot-ca",
        metavar="FILE",
        help="Certificates (PEM) to trust for the hookbot, instead of the system's",
    ),
    Option(
        name="hookbot-unsafe",
        kind=Kind.BOOLEAN,
        value=BOOLEAN,
        help="Allow a URL under /unsafe/, where everybody can publish",
    ),
)

BUILDER = (
    Option(
        name="listen",
        metavar="URL",
        help="Hookbot that says what to build, and when (default: HOOKBOT_MONITOR_URL)",
        text="As ``--hookbot`` of hanoverd itself.",
        secret=Secret.IN_URL,
        variable="HOOKBOT_MONITOR_URL",
    ),
    Option(
        name="docker-notify",
        metavar="URL",
        help="Hookbot topic of the image to push (default: HOOKBOT_DOCKER_NOTIFY_URL)",
        text="""\
``https://TOKEN@HOST/pub/docker-pull/REPOSITORY/tag/TAG``: the image is pushed as ``REPOSITORY:TAG``, with the login
of ``docker login``; then ``UPDATE`` is published there.""",
        secret=Secret.IN_URL,
        variable="HOOKBOT_DOCKER_NOTIFY_URL",
    ),
    Option(
        name="obtain-timeout",
        metavar="DURATION",
        default="2h",
        help="Maximum time to fetch and build the image",
        text="If it takes longer, the build is cancelled and fails.",
        value=POSITIVE_DURATION,
        place="obtain_timeout",
    ),
    Option(
        name="once",
        kind=Kind.BOOLEAN,
        help="Build, push and publish once, then exit: 0 on success, else 1",
        value=BOOLEAN,
        place="once",
    ),
)
