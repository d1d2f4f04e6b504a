"""The manual page hanoverd(1), made from the tables of commands and options."""

from __future__ import annotations

import re
import sys

from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.options.option import Kind, Option

_HEADER = """\
.\\" Generated from the options' definitions: python -m hanoverd.cli.manual
.TH HANOVERD 1
.SH NAME
hanoverd \\- replace one version of a Docker application with the next without its users noticing
"""

_FOOTER = """\
.SH EXIT STATUS
.TP
0
The app, or the command, ended as asked.
.TP
1
It failed; the message says why.
.TP
125
The command line is wrong.
.SH SEE ALSO
.BR docker-run (1),
.BR iptables (8),
.BR conntrack (8)
"""


def manual() -> str:
    """Return the page, in the macros of man(7)."""
    parts = [_HEADER, ".SH SYNOPSIS\n", *(_synopsis(command) for command in (DAEMON, *COMMANDS))]
    parts += [".SH DESCRIPTION\n", _paragraphs(DAEMON.about), ".SH OPTIONS\n", _options(DAEMON)]
    parts.append(".SH COMMANDS\n")
    for command in COMMANDS:
        parts += [f".SS hanoverd {_escaped(command.name)}\n", _paragraphs(command.about), _options(command)]
    for title, rows in (("ENVIRONMENT", DAEMON.environment), ("SIGNALS", DAEMON.signals)):
        parts += [f".SH {title}\n", *(_item(_bold(name), meaning) for name, meaning in rows)]
    return "".join([*parts, _FOOTER])


def _synopsis(command: Command) -> str:
    return f".B {_escaped(command.usage)}\n.br\n"


def _options(command: Command) -> str:
    titles = {option.name: title for title, option in command.groups}
    lines = []
    for option in command.options:
        if option.name in titles:
            lines.append(f".SS {titles[option.name]} options\n")
        lines.append(_option(option))
    return "".join(lines)


def _option(option: Option) -> str:
    head = _bold(f"-{option.letter}, --{option.name}" if option.letter else f"--{option.name}")
    value = f" \\fI{_escaped(option.metavar)}\\fR" if option.metavar else ""
    repeated = " Can be given several times." if option.kind is Kind.REPEATED else ""
    default = f" (default: {option.default})" if option.default else ""
    return _item(head + value, f"{option.help}{default}.{repeated} {' '.join(option.text.split())}".strip())


def _item(head: str, text: str) -> str:
    return f".TP\n{head}\n{_text(text)}\n"


def _paragraphs(text: str) -> str:
    return "".join(f".PP\n{_text(paragraph)}\n" for paragraph in text.split("\n\n"))


def _text(text: str) -> str:
    """Return a paragraph on one line, with the literals of reStructuredText in bold."""
    pieces = re.split(r"`+([^`]+)`+", " ".join(text.split()))
    joined = "".join(_bold(piece) if index % 2 else _escaped(piece) for index, piece in enumerate(pieces))
    # A line that starts with a dot or a quote would be a request.
    return f"\\&{joined}" if joined[:1] in (".", "'") else joined


def _bold(text: str) -> str:
    return f"\\fB{_escaped(text)}\\fR"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")


if __name__ == "__main__":
    sys.stdout.write(manual())
