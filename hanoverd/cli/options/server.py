"""The options of the hookbot server, and of making tokens for it."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, one_of

SERVER = (
    Option(
        name="bind",
        letter="b",
        metavar="[HOST]:PORT",
        default=":8080",
        help="Address to listen on",
    ),
    Option(name="tls-cert", metavar="FILE", help="Certificate and chain (PEM), to serve https and wss"),
    Option(name="tls-key", metavar="FILE", help="Key of the certificate (PEM)"),
    Option(
        name="router",
        kind=Kind.REPEATED,
        metavar="github",
        help="Publish the pushes that webhooks report",
        text="""\
``github``: add the webhook ``https://HOST/unsafe/pub/github.com/?extra-metadata=github`` at GitHub (JSON, with
HOOKBOT_GITHUB_SECRET as its secret). A push is then published at ``/pub/github.com/repo/USER/REPO/branch/BRANCH``.""",
        value=one_of(("github",)),
    ),
)

TOKENS = (
    Option(name="bare", kind=Kind.BOOLEAN, value=BOOLEAN, help="Print only the tokens"),
    Option(
        name="url-base",
        letter="U",
        metavar="URL",
        variable="HOOKBOT_URL_BASE",
        help="Server of the paths (default: HOOKBOT_URL_BASE, else http://localhost:8080)",
    ),
)
