"""The threads for requests to the engine."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.python.threadpool import ThreadPool


@dataclass(frozen=True)
class Pools:
    """A pool of threads for each kind of request, so that no kind can use up the threads of another.

    ``requests`` are answered at once; ``stops`` take as long as an app needs to stop; ``streams`` (waits, output, builds,
    pulls, pushes) take as long as a container runs, or any time.
    """

    requests: ThreadPool
    stops: ThreadPool
    streams: ThreadPool

    @classmethod
    def of(cls, requests: int, stops: int, streams: int) -> Pools:
        """Return pools with at most so many threads."""
        sizes = {"requests": requests, "stops": stops, "streams": streams}
        return cls(*(ThreadPool(0, most, name) for name, most in sizes.items()))

    def start(self) -> None:
        """Accept requests. A thread starts when it is needed."""
        for pool in self._all:
            pool.start()

    def stop(self) -> None:
        """Wait until all threads have ended; no request may be unfinished."""
        for pool in self._all:
            pool.stop()

    @property
    def _all(self) -> tuple[ThreadPool, ThreadPool, ThreadPool]:
        return self.requests, self.stops, self.streams
