"""The options of the page in the browser."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, plain
from hanoverd.spec.web import parse_host_name

WEB = (
    Option(
        name="bind",
        letter="b",
        metavar="[HOST]:PORT",
        default="127.0.0.1:8900",
        help="Address to listen on; without HOST: 127.0.0.1",
        text="""\
At another address than a loopback one, a login is required. The page has no TLS of its own: reach it through an SSH tunnel or a
reverse proxy, see `The page <web.rst#from-another-machine>`_.""",
    ),
    Option(
        name="allow-actions",
        kind=Kind.BOOLEAN,
        value=BOOLEAN,
        place="allow_actions",
        help="Let users deploy, roll back, cancel, pause and resume",
        text="Without it, the page only shows the apps.",
    ),
    Option(
        name="allow-host",
        kind=Kind.REPEATED,
        metavar="NAME",
        value=plain(parse_host_name),
        place="allow_hosts",
        help="Also answer requests for this host name; requires a login",
        text="""\
The name in the URL by which browsers reach the page, such as that of a reverse proxy. Requests for other names than this, the
address of ``--bind``, and ``localhost`` are refused, so that another web site cannot read the page through a name of its own.""",
    ),
    Option(
        name="login",
        kind=Kind.BOOLEAN,
        value=BOOLEAN,
        place="login",
        help="Require a login also at a loopback address",
        text="Without it, every user of this host can open a page that listens at a loopback address.",
    ),
    Option(
        name="new-token",
        kind=Kind.BOOLEAN,
        value=BOOLEAN,
        place="new_token",
        help="Replace the token for logins, print the new one, and exit",
        text="A running page takes the new token at once, and all logins end.",
    ),
)
