"""The options of the hookbot server, and of making tokens for it."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, number, one_of

SERVER = (
    Option(
        name="bind",
        letter="b",
        metavar="[HOST]:PORT",
        default=":8080",
        help="Address to listen on; without HOST: all with TLS, else 127.0.0.1",
        text="""\
Without TLS, tokens and messages are readable on their way. So without HOST, hookbot then listens at 127.0.0.1 only, for a
front end on the same host. ``0.0.0.0:8080`` is all IPv4 addresses, ``[::]:8080`` all addresses.""",
    ),
    Option(name="tls-cert", metavar="FILE", help="Certificate and chain (PEM), to serve https and wss"),
    Option(name="tls-key", metavar="FILE", help="Key of the certificate (PEM)"),
    Option(
        name="connections-per-address",
        metavar="NUMBER",
        default="100",
        value=number(0),
        help="Connections that one address may have; 0: any number",
        text="""\
Raise it if many listeners, or a front end, reach hookbot from one address. A network of IPv6 (/64) counts as one address.
Loopback addresses have no limit. In all, there may be 10,000 connections, 2,000 of them without a valid token.""",
    ),
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
