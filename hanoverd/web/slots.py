"""What a stream takes while it lasts: one of a limited number of places, and a place among the subscribers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from hanoverd.runtime.refusal import Refused


class Slot:
    """Counts a stream while the context runs; ``Refused`` if there are ``most`` already."""

    def __init__(self, streams: Counter[str], kind: str, most: int) -> None:
        self._streams = streams
        self._kind = kind
        self._most = most

    def __enter__(self) -> None:
        if self._streams[self._kind] >= self._most:
            raise Refused(503, f"{self._most} browsers follow this already: close some of their windows.")
        self._streams[self._kind] += 1

    def __exit__(self, *_: object) -> None:
        self._streams[self._kind] -= 1
        if not self._streams[self._kind]:
            del self._streams[self._kind]


class Subscription:
    """Calls a function at each change while the context runs."""

    def __init__(self, subscribers: set[Callable[[str], object]], call: Callable[[str], object]) -> None:
        self._subscribers = subscribers
        self._call = call

    def __enter__(self) -> None:
        self._subscribers.add(self._call)

    def __exit__(self, *_: object) -> None:
        self._subscribers.discard(self._call)
