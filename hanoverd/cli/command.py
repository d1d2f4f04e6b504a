"""One command of the command line."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.cli.options.option import Option


@dataclass(frozen=True)
class Command:
    """A command, by the first words of a command line; the daemon has no name.

    It also takes the options ``more``, which help describes elsewhere.
    """

    name: str
    usage: str
    about: str
    options: tuple[Option, ...]
    summary: str = ""
    #: How help groups the options, by the first of each group.
    groups: tuple[tuple[str, Option], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    signals: tuple[tuple[str, str], ...] = ()
    example: str = ""
    more: tuple[Option, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """The arguments after the options, as the usage has them: ``APP``, ``[VERSION]``."""
        return [word for word in self.usage.split() if word.strip("[]").isupper() and word != "[OPTIONS]"]
