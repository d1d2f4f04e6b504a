"""The help text and the documentation of the options, rendered from the table."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence

from hanoverd.commandline.table import ENVIRONMENT, OPTIONS, SIGNALS, Option

USAGE = "hanoverd [OPTIONS] [IMAGE | @] [ARG...]"

_INTRODUCTION = """\
Runs an app in Docker, and replaces one version of it with the next without its
users noticing. Without IMAGE, or with @, the Dockerfile of the current folder
is built; ARGs are the container's command."""

_EXAMPLE = """\
Example: build the current folder, serve its port 80 on port 8080, then replace
it with a new version:

  hanoverd -p 8080:80 &
  kill -HUP $!"""

WIDTH = 79


def help_text() -> str:
    """What ``hanoverd --help`` prints."""
    rows = [(_left(option), _line(option)) for option in OPTIONS]
    return "\n\n".join(
        [
            f"Usage: {USAGE}",
            _INTRODUCTION,
            "Options:\n" + _columns(rows),
            "Environment:\n" + _columns(ENVIRONMENT),
            "Signals:\n" + _columns(SIGNALS),
            _EXAMPLE,
        ]
    )


def rst() -> str:
    """The options as a section of reStructuredText, one definition each."""
    entries = []
    for option in OPTIONS:
        text = f"{option.help}." + (f"  {option.more}" if option.more else "")
        if option.default is not None:
            text += f"  Default: ``{option.default}``."
        if option.repeatable:
            text += "  May be given several times."
        value = f" {option.value}" if option.value else ""
        body = textwrap.fill(text, WIDTH, initial_indent="    ", subsequent_indent="    ")
        entries.append(f"``{option.spelled}{value}``\n{body}\n")
    return "\n".join(entries)


def _left(option: Option) -> str:
    names = option.spelled if option.short else f"    {option.spelled}"
    return f"{names} {option.value}" if option.value else names


def _line(option: Option) -> str:
    return option.help + (f" (default {option.default})" if option.default is not None else "")


def _columns(rows: Sequence[tuple[str, str]]) -> str:
    """Two columns; the right one beneath the left where that is too wide."""
    left_width = min(26, max(len(left) for left, _ in rows))
    indent = " " * (left_width + 4)
    lines = []
    for left, right in rows:
        wrapped = textwrap.wrap(right, WIDTH - len(indent))
        if len(left) <= left_width:
            lines.append(f"  {left:<{left_width}}  {wrapped[0]}")
        else:
            lines += [f"  {left}", indent + wrapped[0]]
        lines += [indent + line for line in wrapped[1:]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(rst() if "--rst" in sys.argv else help_text() + "\n")
