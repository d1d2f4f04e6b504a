"""Explains the command line, from the table of options: ``hanoverd --help``, and the documentation."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable

from hanoverd.commandline.table import ENVIRONMENT, OPTIONS, SIGNALS, Kind, Option

USAGE = "hanoverd [OPTIONS] [IMAGE | @] [ARG...]"

_WIDTH = 80
_COLUMN = 32

_ABOUT = """\
Replaces one version of a Docker application with the next without its users
noticing: starts the new version beside the old one, waits until it is ready,
leads the traffic to it, and lets the old one finish.

With no IMAGE, or with @, the Dockerfile of the current folder is built;
otherwise IMAGE is used, and pulled if it is not there. ARGs are the
container's command. Options end at IMAGE or @."""

_EXAMPLE = """\
  hanoverd --publish 8080:80 --env HOME --status-uri /health
  kill -HUP $(pgrep -x hanoverd)     # builds and hands over again"""


def usage_text() -> str:
    """What ``--help`` prints, without the last line's end; no line is wider than 80 columns."""
    parts = [
        f"Usage:  {USAGE}",
        _ABOUT,
        "Options:\n" + _rows((_head(option), _help(option)) for option in OPTIONS),
        "Durations are numbers with units: 500ms, 30s, 1m30s.",
        "Environment:\n" + _rows((f"  {name}", meaning) for name, meaning in ENVIRONMENT),
        "Signals:\n" + _rows((f"  {name}", meaning) for name, meaning in SIGNALS),
        f"Example:\n{_EXAMPLE}",
    ]
    return "\n\n".join(parts)


def rst() -> str:
    """The options as a definition list in reStructuredText, for the documentation."""
    return "\n".join(_definition(option) for option in OPTIONS)


def _head(option: Option) -> str:
    letter = f"-{option.letter}, " if option.letter else " " * 4
    return f"  {letter}--{option.name} {option.metavar}".rstrip()


def _help(option: Option) -> str:
    return f"{option.help} (default: {option.default})" if option.default else option.help


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(_row(head, text) for head, text in rows)


def _row(head: str, text: str) -> str:
    """One entry: its text in the second column, on the next line where the head is too long for the first."""
    first = head.ljust(_COLUMN) if len(head) + 2 <= _COLUMN else f"{head}\n{' ' * _COLUMN}"
    lines = textwrap.wrap(text, _WIDTH - _COLUMN)
    return first + f"\n{' ' * _COLUMN}".join(lines)


def _definition(option: Option) -> str:
    value = f" {option.metavar}" if option.metavar else ""
    names = [f"``-{option.letter}``"] if option.letter else []
    names.append(f"``--{option.name}{value}``")
    repeated = " Can be given several times." if option.kind is Kind.REPEATED else ""
    default = f" (default: ``{option.default}``)" if option.default else ""
    paragraphs = [f"{option.help}{default}.{repeated}"]
    if option.text:
        paragraphs.append(" ".join(option.text.split()))
    body = "\n\n".join(textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) for text in paragraphs)
    return f"{', '.join(names)}\n{textwrap.indent(body, ' ' * 4)}\n"


if __name__ == "__main__":
    sys.stdout.write(rst())
