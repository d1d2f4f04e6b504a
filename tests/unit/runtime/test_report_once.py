"""A lasting problem is reported once."""

from __future__ import annotations

from hanoverd.runtime.report_once import ReportOnce


def test_a_reason_is_reported_once_until_it_changes() -> None:
    reported: list[str] = []
    report = ReportOnce(reported.append)
    for reason in ("refused", "refused", "timed out", "timed out", "refused"):
        report(reason)
    assert reported == ["refused", "timed out", "refused"]


def test_a_reason_is_reported_again_after_a_reset() -> None:
    reported: list[str] = []
    report = ReportOnce(reported.append)
    report("refused")
    report.reset()
    report("refused")
    assert reported == ["refused", "refused"]


def test_an_empty_reason_is_reported_too() -> None:
    reported: list[str] = []
    ReportOnce(reported.append)("")
    assert reported == [""]
