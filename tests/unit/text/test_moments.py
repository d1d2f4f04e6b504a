"""Points in time, as ``docker logs --since`` takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hanoverd.text.moments import Moment, parse_moment

NOON = 1795867200.0  # 2026-11-28 12:00 UTC


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The local time is that of Berlin, an hour before UTC in winter, two in summer."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "unix"),
    [
        ("24h", NOON - 86400),
        ("1h30m", NOON - 5400),
        ("0", NOON),
        ("0s", NOON),
        ("2026-11-28", NOON - 13 * 3600),
        ("2026-11-28Z", NOON - 12 * 3600),
        ("2026-11-28T13", NOON),
        ("2026-11-28T12Z", NOON),
        ("2026-11-28T13:00", NOON),
        ("2026-11-28T13:00:00", NOON),
        ("2026-11-28T12:00:00Z", NOON),
        ("2026-11-28T12:00:00.25Z", NOON + 0.25),
        ("2026-11-28T13:00:00+01:00", NOON),
        ("2026-11-28T06:30:00-05:30", NOON),
        # The summer time of that day, not of today.
        ("2026-07-01T14:00:00", 1782907200.0),
        ("1795867200", NOON),
        ("1795867200.000000001", NOON),
    ],
)
def test_what_is_a_time(text: str, unix: float) -> None:
    assert parse_moment(text).unix(NOON) == pytest.approx(unix, abs=1e-6)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "yesterday",
            "-1h",
            "2026-13-01",
            "2026-02-30",
            "2026-11-28T25:00",
            "2026-11-28 12:00",
            "11/28/2026",
            "1e5",
        ),
        *("2026-11-28T12:00:00+1", "2026-11-28T12:00:00+25:00", "-5", "12345678901234567890", "0001-01-01"[:7]),
    ],
)
def test_what_is_none_says_what_to_write(text: str) -> None:
    with pytest.raises(ValueError, match="is no time"):
        parse_moment(text)


def test_now_is_now() -> None:
    assert Moment(ago=5.0).unix(7.0) == 2.0
    assert Moment(at=5.0).unix(7.0) == 5.0
