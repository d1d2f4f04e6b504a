"""Reads a command line into its command, its options and the other arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON, DIFF, REMOTE
from hanoverd.cli.given import Given
from hanoverd.cli.lexer import lex
from hanoverd.cli.options.values import Context
from hanoverd.cli.secrets import masked, masked_url
from hanoverd.cli.verbs import refuse_verb
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

    def without_secrets(self) -> list[str] | None:
        """Return the arguments as all users of the host may see them; None if they have no secret."""
        options = [f"--{option.name}={text}" for option, text in self.given.line]
        shown = [f"--{option.name}={masked(option, text)}" for option, text in self.given.line]
        rest = [*map(masked_url, self.rest[:1]), *self.rest[1:]]
        if (options, list(self.rest)) == (shown, rest):
            return None
        return [*self.command.name.split(), *shown, *(["--", *rest] if rest else [])]


def read_line(argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> CommandLine:
    """Read the arguments of a process; UsageError, in docker's words, for the first that is wrong."""
    _check_encoding(argv)
    command, arguments = _command_of(argv)
    if list(arguments) == ["-h"]:
        arguments = ("--help",)
    options = (*command.options, *command.more)
    given = Given(options, Context(environ, cwd))
    rest = lex(arguments, options, given.take, interspersed=command in REMOTE)
    if command is DIFF:
        rest = _with_app_first(rest, given)
    return CommandLine(command, given, rest)


def _with_app_first(rest: tuple[str, ...], given: Given) -> tuple[str, ...]:
    """Take the first argument as the app's ``--name``, unless that is given, and read the options after it."""
    name = next(option for option in given.options if option.name == "name")
    if not rest or any(option is name for option, _ in given.line):
        return rest
    given.take(name, rest[0])
    return lex(rest[1:], given.options, given.take)


def _check_encoding(argv: Sequence[str]) -> None:
    # Python keeps what it cannot decode as surrogates, which JSON for the engine cannot hold.
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!a} is not UTF-8: write it in UTF-8") from None


def _command_of(argv: Sequence[str]) -> tuple[Command, tuple[str, ...]]:
    """Return the command of a command line, and the arguments after its name.

    UsageError for the first word of a command of two, and for a word that other programs use as a command.
    """
    for command in COMMANDS:
        words = command.name.split()
        if list(argv[: len(words)]) == words:
            return command, tuple(argv[len(words) :])
    groups = {command.name.split()[0] for command in COMMANDS if " " in command.name}
    if argv and argv[0] in groups:
        names = " or ".join(f"`hanoverd {command.name}`" for command in COMMANDS if command.name.startswith(argv[0]))
        raise UsageError(f"write {names} (for an image of this name, {argv[0]}:latest)")
    refuse_verb(argv)
    return DAEMON, tuple(argv)
