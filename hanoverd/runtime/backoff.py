"""Retry with backoff: how long to wait between attempts (pure), and the loop that retries."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from hanoverd.runtime.clock import sleep

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


@dataclass(frozen=True)
class Backoff:
    """A policy: the first delay and the longest, in seconds; each delay is ``factor`` times the one before."""

    first: float
    longest: float
    factor: float = 2.0

    def delay(self, attempt: int) -> float:
        """Return how many seconds to wait after the failed attempt number ``attempt``, which counts from 1."""
        try:
            return min(self.first * self.factor ** (attempt - 1), self.longest)
        except OverflowError:
            return self.longest


class Delays:
    """The successive delays of one loop, which starts from the first delay again after a success."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._attempt = 0

    def next(self) -> float:
        """Return the next delay, in seconds."""
        self._attempt += 1
        return self._backoff.delay(self._attempt)

    def reset(self) -> None:
        """Start from the first delay again."""
        self._attempt = 0


def _ignore(_error: Exception, _delay: float) -> None:
    """Do nothing before a retry."""


async def retry(
    clock: IReactorTime,
    backoff: Backoff,
    work: Callable[[], Coroutine[Deferred[Any], Any, T]],
    *,
    on: type[E],
    attempts: int | None = None,
    before_sleep: Callable[[E, float], object] = _ignore,
) -> T:
    """Call ``work`` until it succeeds, and return its result.

    An error of the type ``on`` is retried after a delay, at most ``attempts`` attempts in all (None: without limit); the
    error of the last attempt, and any other error, is raised. ``before_sleep`` takes each error that is retried and the
    delay in seconds; it may raise to stop retrying. Cancel ends the attempt or the delay.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return await work()
        except on as error:
            if attempt == attempts:
                raise
            delay = backoff.delay(attempt)
            before_sleep(error, delay)
        await sleep(clock, delay)
