"""Control characters in text from elsewhere."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.text.escapes import escaped, escaped_line, escaped_output
from tests.unit.strategies import any_text

HOSTILE = "a\0\a\b\v\f\r\x1b\x7f\x85\x9b\u2028\u2029\u202a\u202e\u2066\u2069\udc80b"
SHOWN = r"a\x00\a\b\v\f\r\x1b\x7f\u0085\u009b\u2028\u2029\u202a\u202e\u2066\u2069\udc80b"


def test_control_characters_are_escaped() -> None:
    assert escaped(HOSTILE) == escaped_line(HOSTILE) == escaped_output(HOSTILE, colour=False) == SHOWN
    assert escaped_output(HOSTILE, colour=True) == SHOWN


@pytest.mark.parametrize("text", ["", "web-1: ready in 4ms", "größer € 😀 مرحبا שלום", "a\tb", "C:\\new \\x1b"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert escaped(text) == escaped_line(text) == escaped_output(text, colour=True) == text


def test_a_newline_stays_where_a_text_may_have_several_lines() -> None:
    assert escaped("a\r\nb\nc\r") == "a\nb\nc\\r"
    assert escaped_line("a\r\nb") == escaped_output("a\r\nb", colour=True) == "a\\r\\nb"


def test_colours_are_kept_for_a_terminal_and_end_with_the_line() -> None:
    line = "\x1b[1;38:5:9mred\x1b[m \x1b[32mgreen"
    assert escaped_output(line, colour=True) == f"{line}\x1b[0m"
    assert escaped_output(line, colour=False) == "red green"
    assert escaped_line(line) == r"\x1b[1;38:5:9mred\x1b[m \x1b[32mgreen"


@pytest.mark.parametrize(
    "sequence", ["\x1b[2J", "\x1b]0;title\a", "\x1b[31", "\x1bc", "\x9b31m", "\x1b[?25l", "\x1b[>4m"]
)
def test_other_sequences_are_escaped_for_a_terminal_too(sequence: str) -> None:
    assert "\x1b" not in escaped_output(sequence, colour=True)
    assert not any(char in escaped_output(sequence, colour=True) for char in "\a\x9b")


def test_what_is_left_around_a_colour_is_no_sequence() -> None:
    assert escaped_output("\x1b\x1b[0m[2J", colour=False) == r"\x1b[2J"
    assert escaped_output("\x1b\x1b[0m[2J", colour=True) == "\\x1b\x1b[0m[2J\x1b[0m"


@given(any_text | st.text("\x1b[0;m\r\n\u202ea"))
def test_no_text_starts_a_line_or_moves_the_cursor(text: str) -> None:
    shown = escaped_output(text, colour=True).replace("\x1b[", "[")
    for line in (shown, escaped_line(text), *escaped(text).split("\n")):
        assert all(char.isprintable() or char == "\t" or ord(char) > 0x9F for char in line)
        assert len(line.splitlines()) <= 1
        line.encode()


@pytest.mark.parametrize("part", ["\x1b[", "\x1b[0", "\x1b[0;", "\r\n", "\u202e"])
def test_it_takes_linear_time(part: str) -> None:
    begun = time.process_time()
    escaped_output(part + "0;" * 1_000_000, colour=True)
    escaped_output(part * 500_000, colour=True)
    escaped(part * 500_000)
    assert time.process_time() - begun < 10
