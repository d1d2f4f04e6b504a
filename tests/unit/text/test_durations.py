"""Spans of time as text."""

from __future__ import annotations

import pytest

from hanoverd.text.durations import format_duration, parse_duration, parse_whole_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45s", 45.0),
        ("2m5s", 125.0),
        ("340ms", 0.34),
        ("1.25h", 4500.0),
        (".5m", 30.0),
        ("3.s", 3.0),
        ("1s1s", 2.0),
        ("7us", 0.000007),
        ("7µs", 0.000007),
        ("250ns", 0.00000025),
        ("0", 0.0),
        ("-0", 0.0),
        ("+8s", 8.0),
        ("-1m", -60.0),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("90", 'time: missing unit in duration "90" (write 90s for seconds, 90m for minutes)'),
        ("1m30", 'time: missing unit in duration "1m30"'),
        ("2w", 'time: unknown unit "w" in duration "2w" (the units are ns, us, ms, s, m and h)'),
        ("4M", 'time: unknown unit "M" in duration "4M"'),
        ("2m 5s", 'time: unknown unit "m " in duration "2m 5s"'),
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("soon", 'time: invalid duration "soon" (write numbers with units'),
        (".s", 'time: invalid duration ".s"'),
        ("1..5s", 'time: missing unit in duration "1..5s"'),
        ("8000000h", 'time: invalid duration "8000000h"'),
        ("٣s", 'time: invalid duration "٣s"'),
    ],
)
def test_what_is_no_duration_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_duration(text)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("25", 25), ("25s", 25), ("2m", 120), ("-1", -1), ("0", 0), ("0x1f", 31), ("017", 15)],
)
def test_whole_seconds_need_no_unit(text: str, seconds: int) -> None:
    assert parse_whole_seconds(text) == seconds


@pytest.mark.parametrize("text", ["1.5", "2500ms", "", "-7", "ten", "99999999999", "-5s", "099", "1000000h"])
def test_seconds_that_are_not_whole_or_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_whole_seconds(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0002, "<1ms"),
        (0.0301, "30ms"),
        (0.9996, "1s"),
        (1.234, "1.2s"),
        (30, "30s"),
        (59.97, "1m"),
        (90, "1m30s"),
        (300, "5m"),
        (3599.9, "1h"),
        (7500, "2h5m"),
        (-2, "-2s"),
    ],
)
def test_people_are_told_a_duration_in_few_digits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
