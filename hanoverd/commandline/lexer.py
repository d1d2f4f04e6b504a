"""Splits a command line into options and arguments, by the rules of Docker's own client.

They are those of the Go library pflag: options end at the first argument that is none, no name may be abbreviated, a
switch takes a value only behind ``=``, and a value may begin with a dash.  Neither argparse nor Twisted's usage reads
all of that the same way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hanoverd.commandline.table import Option
from hanoverd.errors import UsageError

_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")


@dataclass(frozen=True)
class Given:
    """One option as it was given; a switch is ``"true"`` or ``"false"``."""

    option: Option
    value: str


class Lexer:
    """Reads ``arguments`` by the ``options`` there are: iterate for the options, then take ``rest``."""

    def __init__(self, options: Sequence[Option], arguments: Sequence[str]) -> None:
        self._long = {option.name: option for option in options}
        self._short = {option.short: option for option in options if option.short}
        self.rest = list(arguments)

    def __iter__(self) -> Iterator[Given]:
        """The options from left to right; raises ``UsageError`` at the first that is wrong."""
        while self.rest:
            argument = self.rest[0]
            if not argument.startswith("-") or argument == "-":
                return
            del self.rest[0]
            if argument == "--":
                return
            if argument.startswith("--"):
                yield self._long_option(argument)
            else:
                yield from self._short_options(argument)

    def _long_option(self, argument: str) -> Given:
        name, equals, value = argument[2:].partition("=")
        if not name or name.startswith("-"):
            raise UsageError(f"bad flag syntax: {argument}")
        option = self._long.get(name)
        if option is None:
            raise UsageError(f"unknown flag: --{name}{self._suggestion(name)}{SEE_HELP}")
        if equals:
            return _given(option, value)
        if option.value is None:
            return _given(option, "true")
        if not self.rest:
            raise UsageError(f"flag needs an argument: --{name}: write --{name} {option.value}")
        return _given(option, self.rest.pop(0))

    def _short_options(self, argument: str) -> Iterator[Given]:
        letters = argument[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._short.get(letter)
            if option is None:
                raise UsageError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}{SEE_HELP}")
            if letters.startswith("="):
                yield _given(option, letters[1:])
                return
            if option.value is None:
                yield _given(option, "true")
            elif letters:
                yield _given(option, letters)
                return
            elif self.rest:
                yield _given(option, self.rest.pop(0))
            else:
                raise UsageError(f"flag needs an argument: '{letter}' in -{letter}: write -{letter} {option.value}")

    def _suggestion(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._long, n=1)
        return f" (did you mean --{near[0]}?)" if near else ""


SEE_HELP = ". Run 'hanoverd --help' for all options"


def invalid(given: Given, reason: object) -> UsageError:
    """The complaint about the value of an option, in the form of Docker's client."""
    return UsageError(f'invalid argument "{given.value}" for "{given.option.spelled}" flag: {reason}')


def _given(option: Option, value: str) -> Given:
    if option.value is not None:
        return Given(option, value)
    if value in _TRUE:
        return Given(option, "true")
    if value in _FALSE:
        return Given(option, "false")
    raise invalid(Given(option, value), f'strconv.ParseBool: parsing "{value}": invalid syntax: write true or false')
