"""What holds for every command line."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.cli.lexer import lex
from hanoverd.cli.options.option import Kind, Option
from hanoverd.runtime.errors import UsageError
from tests.unit.strategies import any_text, text_like

COLOUR = Option("colour", "", letter="c", metavar="NAME")
SIZE = Option("size", "", metavar="BYTES")
QUIET = Option("quiet", "", letter="q", kind=Kind.BOOLEAN)
OPTIONS = (COLOUR, SIZE, QUIET)

Taken = tuple[str, str]


def lexed(arguments: list[str], *, interspersed: bool = False) -> tuple[list[Taken], tuple[str, ...]]:
    taken: list[Taken] = []
    rest = lex(arguments, OPTIONS, lambda option, value: taken.append((option.name, value)), interspersed=interspersed)
    return taken, rest


def spellings(option: Option, value: str) -> list[list[str]]:
    """Return the ways to write an option with its value."""
    if option.kind is Kind.BOOLEAN:
        return (
            [["--quiet"], ["-q"]] if value == "true" else [[f"--quiet={value}"], *([[f"-q={value}"]] if value else [])]
        )
    long = [[f"--{option.name}={value}"], [f"--{option.name}", value]]
    if not option.letter:
        return long
    short = [[f"-{option.letter}", value]]
    if value and not value.startswith("="):
        short += [[f"-{option.letter}{value}"], [f"-{option.letter}={value}"]]
    return long + short


_written = st.tuples(st.sampled_from(OPTIONS), any_text | st.just("true")).flatmap(
    lambda pair: st.sampled_from(spellings(*pair)).map(lambda spelling: ((pair[0].name, pair[1]), spelling))
)
_words = any_text.filter(lambda text: text == "-" or not text.startswith("-"))


@given(st.lists(text_like("-=cqsize", 10)), st.booleans())
def test_any_command_line_is_read_or_refused_with_a_usage_error(arguments: list[str], interspersed: bool) -> None:
    with suppress(UsageError):
        lexed(arguments, interspersed=interspersed)


@given(st.lists(_written), _words, st.lists(any_text))
def test_options_come_back_in_their_order_however_they_are_written(
    options: list[tuple[Taken, list[str]]], word: str, rest: list[str]
) -> None:
    arguments = [argument for _, spelling in options for argument in spelling]
    expected = [taken for taken, _ in options]
    assert lexed([*arguments, word, *rest]) == (expected, (word, *rest))
    assert lexed([*arguments, "--", *rest]) == (expected, tuple(rest))


@given(st.lists(_written.map(lambda pair: (pair, None)) | _words.map(lambda word: (None, word))))
def test_interspersed_words_do_not_change_the_options(
    parts: list[tuple[tuple[Taken, list[str]] | None, str | None]],
) -> None:
    arguments = [argument for option, word in parts for argument in (option[1] if option else [word or ""])]
    expected = [option[0] for option, _ in parts if option]
    words = tuple(word or "" for option, word in parts if not option)
    assert lexed(arguments, interspersed=True) == (expected, words)
