"""Ten times the input takes at most fifteen times as many steps: lines of Python are counted, so no clock is involved.

What a library does within one step, such as a regular expression, does not count here: ``benchmarks/parsers.py`` measures the
time as well.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from benchmarks.parser_shapes import REFUSALS, SHAPES, Shape

#: The size of the smaller input, in characters, and the steps that do not depend on the size.
SIZE, CONSTANT = 5000, 500

FACTOR, MOST = 10, 15


def steps(shape: Shape, size: int) -> int:
    """Return how many lines of Python run for an input of this size."""
    text = shape.make(size)
    count = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        shape.parse(text)
    except REFUSALS:
        pass
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: f"{shape.parser}: {shape.name}")
def test_ten_times_the_input_takes_at_most_fifteen_times_the_steps(shape: Shape) -> None:
    # Not the first: it loads what the parser needs.
    steps(shape, SIZE)
    assert steps(shape, FACTOR * SIZE) <= MOST * steps(shape, SIZE) + CONSTANT


def test_steps_of_a_quadratic_parser_are_more() -> None:
    def quadratic(text: str) -> int:
        return sum(1 for one in text for other in text if one != other)

    shape = Shape("none", "quadratic", lambda size: "a" * (size // 50), quadratic)
    assert steps(shape, FACTOR * SIZE) > MOST * steps(shape, SIZE) + CONSTANT
