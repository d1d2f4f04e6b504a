"""Options of Windows containers: docker's client refuses them for an engine on Linux."""

from __future__ import annotations

from hanoverd.cli.options.option import Option
from hanoverd.cli.options.values import INTEGER, SIZE, plain
from hanoverd.text.numbers import parse_unsigned

_HELP = "Windows only: refused"

WINDOWS = (
    Option(name="cpu-count", metavar="NUMBER", help=_HELP, value=INTEGER),
    Option(name="cpu-percent", metavar="PERCENT", help=_HELP, value=INTEGER),
    Option(name="io-maxbandwidth", metavar="BYTES", help=_HELP, value=SIZE),
    Option(name="io-maxiops", metavar="NUMBER", help=_HELP, value=plain(parse_unsigned)),
)
