"""Numbers of things, for people."""

from __future__ import annotations

import pytest

from hanoverd.text.counting import counted


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 connections"), (1, "1 connection"), (2, "2 connections"), (21, "21 connections")]
)
def test_one_is_singular_and_everything_else_is_plural(number: int, text: str) -> None:
    assert counted(number, "connection") == text


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert [counted(number, "entry", "entries") for number in (1, 2)] == ["1 entry", "2 entries"]
