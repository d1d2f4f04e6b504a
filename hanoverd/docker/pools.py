"""The threads that talk to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.python.threadpool import ThreadPool


@dataclass(frozen=True)
class Pools:
    """A pool of threads for each kind of request, so that none can keep the others from a thread.

    ``requests`` are answered at once; ``stops`` take as long as an app takes to end; ``streams`` (waits, output,
    builds, pulls, pushes) as long as a container runs, or longer than anybody can tell.
    """

    requests: ThreadPool
    stops: ThreadPool
    streams: ThreadPool

    @classmethod
    def of(cls, requests: int, stops: int, streams: int) -> Pools:
        """Pools of at most so many threads."""
        sizes = {"requests": requests, "stops": stops, "streams": streams}
        return cls(*(ThreadPool(0, most, name) for name, most in sizes.items()))

    def start(self) -> None:
        """Let requests be made; a thread starts when it is needed."""
        for pool in self._all:
            pool.start()

    def stop(self) -> None:
        """Wait for all threads to end; no request may be under way any more."""
        for pool in self._all:
            pool.stop()

    @property
    def _all(self) -> tuple[ThreadPool, ThreadPool, ThreadPool]:
        return self.requests, self.stops, self.streams
