"""Reads a command line into its command, its options and the other arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanoverd.cli.commands import REMOTE, Command, command_of
from hanoverd.cli.given import Given
from hanoverd.cli.lexer import lex
from hanoverd.cli.options.option import Option
from hanoverd.cli.options.values import Context
from hanoverd.cli.secrets import Unhiding, without_secrets
from hanoverd.runtime.errors import UsageError


class InfoRequested(Exception):  # not an error
    """The user asks for help, the version, tokens or a dry run; the text is the answer."""

    def __init__(self, text: str, warnings: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.warnings = tuple(warnings)


@dataclass(frozen=True)
class CommandLine:
    """A command line whose options were read; ``rest`` are the arguments that are not options."""

    command: Command
    given: Given
    rest: tuple[str, ...]

    def without_secrets(self) -> tuple[list[str], dict[str, str]]:
        """Return arguments without secrets that mean the same in an environment with the variables returned."""
        options, environ = without_secrets(self.given.line)
        return [*self.command.name.split(), *options, *(["--", *self.rest] if self.rest else [])], environ


def read_line(argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> CommandLine:
    """Read the arguments of a process; UsageError, in docker's words, for the first that is wrong."""
    _check_encoding(argv)
    command, arguments = command_of(argv)
    if list(arguments) == ["-h"]:
        arguments = ("--help",)
    given = Given(command.options, Context(environ, cwd))
    unhiding = Unhiding(environ)

    def take(option: Option, text: str) -> None:
        given.take(option, unhiding.text(option, text))

    rest = lex(arguments, command.options, take, interspersed=command in REMOTE)
    return CommandLine(command, given, rest)


def _check_encoding(argv: Sequence[str]) -> None:
    # Python keeps what it cannot decode as surrogates, which JSON for the engine cannot hold.
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!a} is not UTF-8: write it in UTF-8") from None
