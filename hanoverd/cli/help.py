"""Help and documentation of the command line, made from the tables of commands and options."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable

from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.options.option import Kind, Option

_WIDTH = 80
_COLUMN = 32


def usage_text(command: Command = DAEMON) -> str:
    """Return what ``--help`` prints, without the last newline; no line is wider than 80 columns."""
    parts = [f"Usage:  {command.usage}", command.about]
    if command is DAEMON:
        commands = _rows((f"  hanoverd {other.name}", other.summary) for other in COMMANDS)
        parts.append(f"Commands, each with its --help:\n{commands}")
    parts += [
        f"{title}:\n" + _rows((_head(option), _help(option)) for option in options)
        for title, options in _grouped(command)
    ]
    if command is DAEMON:
        parts.append("Durations are numbers with units: 500ms, 30s, 1m30s.")
    for title, rows in (("Environment", command.environment), ("Signals", command.signals)):
        if rows:
            parts.append(f"{title}:\n" + _rows((f"  {name}", meaning) for name, meaning in rows))
    return "\n\n".join([*parts, f"Example:\n{command.example}"])


def rst(command: Command = DAEMON) -> str:
    """Return the options as definition lists in reStructuredText, for the documentation."""
    parts = []
    for title, options in _grouped(command):
        if command.groups:
            parts.append(f"{title}\n{'.' * len(title)}\n")
        parts += [_definition(option) for option in options if command is DAEMON or option.name != "help"]
    return "\n".join(parts)


def _grouped(command: Command) -> list[tuple[str, list[Option]]]:
    """Return the options of a command in groups with titles."""
    titles = {option.name: f"{title} options" for title, option in command.groups}
    groups: list[tuple[str, list[Option]]] = [] if titles else [("Options", [])]
    for option in command.options:
        if option.name in titles:
            groups.append((titles[option.name], []))
        groups[-1][1].append(option)
    return groups


def reference() -> str:
    """Return the page ``docs/options.rst``: every command with its usage, options, environment and example."""
    return "\n".join([_REFERENCE, *(_section(command) for command in (DAEMON, *COMMANDS))])


_REFERENCE = """\
.. This page is generated from the options' definitions: scripts/generate

Options
=======

All commands and their options. ``hanoverd --help`` and ``hanoverd COMMAND --help`` print the short form.

Durations are numbers with units: ``500ms``, ``30s``, ``1m30s``, ``2h``. An option that can be given several times is
repeated with its flag: ``--env A=1 --env B=2``.

.. contents::
   :local:
"""


def _section(command: Command) -> str:
    title = f"hanoverd {command.name}".rstrip()
    parts = [
        f"{title}\n{'-' * len(title)}",
        f"::\n\n    {command.usage}",
        command.about.replace("`", "``"),
        rst(command).rstrip("\n"),
    ]
    for name, rows in (("Environment", command.environment), ("Signals", command.signals)):
        if rows:
            listed = "\n".join(f"* ``{word}``: {meaning}" for word, meaning in rows)
            parts.append(f"{name}:\n\n{listed}")
    parts.append(f"Example::\n\n{textwrap.indent(textwrap.dedent(command.example), ' ' * 4)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(option: Option) -> str:
    letter = f"-{option.letter}, " if option.letter else " " * 4
    return f"  {letter}--{option.name} {option.metavar}".rstrip()


def _help(option: Option) -> str:
    return f"{option.help} (default: {option.default})" if option.default else option.help


def _rows(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(_row(head, text) for head, text in rows)


def _row(head: str, text: str) -> str:
    """Return an entry with its text in the second column; it starts a new line if the head is too long."""
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
    sys.stdout.write(reference())
