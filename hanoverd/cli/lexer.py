"""Splits a command line into options and the rest, by the rules of Docker's command line (spf13/pflag).

Options end at the first other argument, unless they can be anywhere.  A value can start with ``-``.  There are no
abbreviations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from hanoverd.cli.options.option import Kind, Option
from hanoverd.runtime.errors import UsageError

#: Called with each option and its value, in their order.
Take = Callable[[Option, str], None]

_SEE_HELP = "Run it with --help for the options"

#: The value of a boolean option without a value.
_TRUE = "true"

#: How similar a name must be to be suggested, from 0 to 1.
_ALIKE = 0.7

#: As in ``-p=80``: a letter, the sign, a value.
_SHORTEST_ASSIGNMENT = 3


def lex(
    arguments: Sequence[str], options: Sequence[Option], take: Take, *, interspersed: bool = False
) -> tuple[str, ...]:
    """Call ``take`` for each option in turn; return the other arguments.

    Options end at the first other argument, unless ``interspersed``.  UsageError, in docker's words, for the first
    option that is wrong.  An error of ``take`` ends the reading, too: the first error on the line is the one reported.
    """
    reading = _Reading(arguments, options, take)
    between: list[str] = []
    while reading.left:
        argument = reading.left[0]
        if not argument.startswith("-") or argument == "-":
            if not interspersed:
                break
            between.append(reading.left.pop(0))
            continue
        reading.left.pop(0)
        if argument == "--":
            break
        if argument.startswith("--"):
            reading.read_long(argument)
        else:
            reading.read_letters(argument[1:])
    return (*between, *reading.left)


class _Reading:
    """A command line that is being read, and the arguments that are left."""

    def __init__(self, arguments: Sequence[str], options: Sequence[Option], take: Take) -> None:
        self.left = list(arguments)
        self._by_name = {name: option for option in options for name in (option.name, *option.synonyms)}
        self._by_letter = {option.letter: option for option in options if option.letter}
        self._take = take

    def read_long(self, argument: str) -> None:
        """Read ``--name``, ``--name=value`` or ``--name value``."""
        name, assigned, value = argument[2:].partition("=")
        if argument[2] in "-=":
            raise UsageError(f"bad flag syntax: {argument} (write --NAME or --NAME=VALUE). {_SEE_HELP}")
        option = self._by_name.get(name)
        if option is None:
            raise UsageError(f"unknown flag: --{name}{self._nearest(name)}. {_SEE_HELP}")
        if not assigned:
            value = _TRUE if option.kind is Kind.BOOLEAN else self._next(option, f"flag needs an argument: {argument}")
        self._take(option, value)

    def read_letters(self, letters: str) -> None:
        """Read the letters after one ``-``: booleans, and at the end one option with its value."""
        while letters:
            letter, rest = letters[0], letters[1:]
            option = self._by_letter.get(letter)
            if option is None:
                raise UsageError(f"unknown shorthand flag: '{letter}' in -{letters}. {_SEE_HELP}")
            if rest.startswith("=") and len(letters) >= _SHORTEST_ASSIGNMENT:
                value, rest = rest[1:], ""
            elif option.kind is Kind.BOOLEAN:
                value = _TRUE
            elif rest:
                value, rest = rest, ""
            else:
                value = self._next(option, f"flag needs an argument: '{letter}' in -{letters}")
            self._take(option, value)
            letters = rest

    def _next(self, option: Option, complaint: str) -> str:
        if not self.left:
            raise UsageError(f"{complaint} (write {option.flags} {option.metavar})")
        return self.left.pop(0)

    def _nearest(self, name: str) -> str:
        # In any case: the options are all in lower case.
        near = get_close_matches(name.lower().replace("_", "-"), self._by_name, n=1, cutoff=_ALIKE)
        return f" (did you mean --{near[0]}?)" if near else ""
