"""Cutting output into lines."""

from __future__ import annotations

import time

import pytest

from hanoverd.text.lines import LONGEST_LINE, TAIL, TAIL_WIDTH, LineCutter, Tail, text_of


def test_pieces_become_lines_wherever_they_were_cut() -> None:
    cutter = LineCutter()
    assert [cutter.take(piece) for piece in (b"on", b"e\ntwo\n\nth", b"ree")] == [[], [b"one", b"two", b""], []]
    assert cutter.rest() == [b"three"]
    assert cutter.rest() == []


def test_a_line_of_the_longest_length_stays_whole() -> None:
    cutter = LineCutter()
    line = b"x" * LONGEST_LINE
    assert cutter.take(line) == []
    assert cutter.take(b"\n") == [line]


def test_a_longer_line_comes_in_parts() -> None:
    cutter = LineCutter()
    assert [len(part) for part in cutter.take(b"x" * (2 * LONGEST_LINE + 5) + b"\ny")] == [
        LONGEST_LINE,
        LONGEST_LINE,
        5,
    ]
    assert cutter.rest() == [b"y"]


def test_no_character_is_cut() -> None:
    cutter = LineCutter()
    text = "x" * (LONGEST_LINE - 1) + "größer €" * 5000
    parts = [*cutter.take(text.encode()), *cutter.rest()]
    assert len(parts) > 3
    assert "".join(part.decode() for part in parts) == text


def test_a_line_ends_at_a_newline_only() -> None:
    text = "a\vb\fc\rd\x1ce\x85f\u2028g\u2029h"
    assert LineCutter().take(f"{text}\n".encode()) == [text.encode()]


@pytest.mark.parametrize("size", [1, 1000, 1024 * 1024])
def test_output_without_newlines_takes_linear_time_and_little_memory(size: int) -> None:
    cutter = LineCutter()
    piece, held = b"x" * size, 0
    begun = time.process_time()
    for _ in range(1024 * 1024 // size * min(size, 24)):
        cutter.take(piece)
        held = max(held, len(cutter._begun))
    # A cutter that copies what waits, for each byte, needs 4 s.
    assert time.process_time() - begun < 1
    assert held <= LONGEST_LINE


def test_text_has_no_carriage_return_at_its_end_and_no_error() -> None:
    assert [text_of(line) for line in (b"a\r", b"a\rb", b"\xff", b"")] == ["a", "a\rb", "\N{REPLACEMENT CHARACTER}", ""]


def test_a_tail_has_the_last_lines_and_cuts_long_ones() -> None:
    tail = Tail()
    assert (str(tail), len(tail)) == ("", 0)
    for number in range(TAIL + 5):
        tail.add(f"{number}")
    tail.add("x" * (TAIL_WIDTH + 1))
    assert len(tail) == TAIL
    assert list(tail)[0::18] == ["6", "24"]
    assert list(tail)[-1] == "x" * TAIL_WIDTH + "…"
    assert str(tail).startswith("\n    6\n    7\n")
