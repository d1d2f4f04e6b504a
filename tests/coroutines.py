"""A coroutine that a test drives by hand."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class Run:
    """A coroutine that was started, and its result."""

    def __init__(self, coroutine: Coroutine[Deferred[Any], Any, Any]) -> None:
        self.results: list[object] = []
        self.deferred = Deferred.fromCoroutine(coroutine)
        self.deferred.addBoth(self.results.append)

    def failed_with(self, kind: type[Exception]) -> bool:
        """Return whether it has failed with such an error."""
        [result] = self.results
        return isinstance(result, Failure) and result.check(kind) is not None
