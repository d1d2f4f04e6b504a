"""Parsers of what strangers write: how much longer ten times the input takes.

usage: python -m benchmarks.parsers [PARSER...]       (from the project's root)

For each parser and each hostile shape of its input (parser_shapes.py): the time for an input, for one of ten times the size,
and the ratio of the two. A parser that takes linear time has a ratio of about 10. Each time is the median of five, in seconds of the
processor; the size of the input is chosen so that the shorter time is at least two milliseconds, and is at most 512 KiB. A
ratio of more than 15 is measured again, up to three times, because other processes use the caches too; the lowest counts. The
exit status is 1 if it is more than 15.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time

from benchmarks.parser_shapes import REFUSALS, SHAPES, Shape

#: The highest ratio that counts as linear.
MOST = 15

_FACTOR, _RUNS, _ATTEMPTS = 10, 5, 4

#: The sizes of inputs, in characters, and the time that the smaller one must take at least, in seconds.
_SMALLEST, _LARGEST, _SHORTEST = 1024, 512 * 1024, 0.002


def median(shape: Shape, size: int) -> float:
    """Return the time for an input of this size, in seconds."""
    text = shape.make(size)
    return statistics.median(_time(shape, text) for _ in range(_RUNS))


def _time(shape: Shape, text: str) -> float:
    begun = time.process_time()
    try:
        shape.parse(text)
    except REFUSALS:
        pass  # To refuse an input takes time, too.
    return time.process_time() - begun


def measure(shape: Shape) -> tuple[int, float, float]:
    """Return the size of the input, and the times for it and for ten times as much."""
    size = _SMALLEST
    while (short := median(shape, size)) < _SHORTEST and size < _LARGEST:
        size *= 2
    best = short, median(shape, size * _FACTOR)
    for _ in range(1, _ATTEMPTS):
        if best[1] <= MOST * best[0]:
            break
        best = min(best, (median(shape, size), median(shape, size * _FACTOR)), key=lambda times: times[1] / times[0])
    return size, *best


def main() -> None:
    """Measure all parsers, or some."""
    is_linear = True
    # It would count the objects of all parsers, again and again.
    gc.disable()
    print(f"{'parser':14} {'shape':24} {'input':>9} {'time':>10} {'10 times':>10} {'ratio':>6}")
    for shape in SHAPES:
        if sys.argv[1:] and shape.parser not in sys.argv[1:]:
            continue
        size, short, long = measure(shape)
        ratio = long / max(short, 1e-6)
        is_linear &= ratio <= MOST
        mark = "" if ratio <= MOST else "  not linear"
        print(
            f"{shape.parser:14} {shape.name:24} {size:>9} {short * 1000:>7.2f} ms {long * 1000:>7.2f} ms {ratio:>6.1f}{mark}",
            flush=True,
        )
    sys.exit(0 if is_linear else 1)


if __name__ == "__main__":
    main()
