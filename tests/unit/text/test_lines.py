"""Cutting output into lines."""

from __future__ import annotations

import time

from hanoverd.text.lines import LONGEST_LINE, LineCutter


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


def test_output_without_newlines_costs_little() -> None:
    cutter = LineCutter()
    piece, held = b"x" * 1000, 0
    begun = time.process_time()
    for _ in range(24 * 1024):
        cutter.take(piece)
        held = max(held, len(cutter._begun))
    assert time.process_time() - begun < 3
    assert held <= LONGEST_LINE
