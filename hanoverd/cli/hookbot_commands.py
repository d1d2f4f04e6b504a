"""The commands of the hookbot server, with their options."""

from __future__ import annotations

from hanoverd.cli.command import Command
from hanoverd.cli.options.about import HELP
from hanoverd.cli.options.log import LOG_FORMAT
from hanoverd.cli.options.server import SERVER, TOKENS

_KEY = ("HOOKBOT_KEY", "Secret that tokens are made with; required")

SERVE = Command(
    name="hookbot serve",
    summary="Run a hookbot server",
    usage="hanoverd hookbot serve [OPTIONS]",
    about="""\
Serves a hookbot: it sends what is POSTed to /pub/TOPIC to the websockets that
are connected to /sub/TOPIC. Both need a token for the path: see make-tokens.""",
    options=(*SERVER, LOG_FORMAT, HELP),
    environment=(
        _KEY,
        ("HOOKBOT_GITHUB_SECRET", "Secret of GitHub's webhooks; required by --router github"),
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
is valid for all paths below it; one for a path without /pub or /sub for both.""",
    options=(*TOKENS, HELP),
    environment=(_KEY, ("HOOKBOT_URL_BASE", "The same as --url-base")),
    example="  HOOKBOT_KEY=$(cat key) hanoverd hookbot make-tokens /sub/hanoverd/cwd",
)
