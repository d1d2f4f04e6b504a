"""Waits for several things at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred

from hanoverd.runtime.cancellation import Outcome, shielded

T = TypeVar("T")


async def together(works: Sequence[Deferred[T]]) -> list[T]:
    """Wait until all works have settled, and return their results, or raise the first failure.

    Cancel cancels all of them, and ends in CancelledError when they have settled: gatherResults would wrap it in a FirstError.
    """
    outcomes = [Outcome(work) for work in works]
    try:
        for outcome in outcomes:
            await outcome.wait()
    except CancelledError:
        for work in works:
            work.cancel()
        for outcome in outcomes:
            await shielded(outcome.wait())
        raise
    return [outcome.get() for outcome in outcomes]
