"""Reports a lasting problem once, not at each retry."""

from __future__ import annotations

from collections.abc import Callable


class ReportOnce:
    """Calls ``report`` with a reason, unless it is the reason that was reported last."""

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report
        self._last: str | None = None

    def __call__(self, reason: str) -> None:
        """Report ``reason`` if it differs from the last one."""
        if reason != self._last:
            self._last = reason
            self._report(reason)

    def reset(self) -> None:
        """Report the next reason in any case: the problem has passed."""
        self._last = None
