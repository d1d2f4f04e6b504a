"""Numbers that others have written."""

from __future__ import annotations

import pytest

from hanoverd.text.decimal import parse_decimal


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(2**64 - 1), 2**64 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert parse_decimal(text) == number


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", " 1", "1\n", "1_0", "\N{SUPERSCRIPT TWO}", "\u0663", "9" * 21, "9" * 5000]
)
def test_nothing_else_is(text: str) -> None:
    assert parse_decimal(text) is None
