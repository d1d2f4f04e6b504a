"""The history of an app's handovers: the last ones in memory, and all that are kept in a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from hanoverd.history.record import LIVE, LONGEST_TRIGGER, LONGEST_WHY, OTHER, Drained, HistoryQuery, Origin, Record
from hanoverd.text.lines import shortened

#: How many handovers are in memory.
MOST = 100

#: Of how many different triggers the origin is known.
_MOST_ORIGINS = 100


class Store(Protocol):
    """Keeps handovers over a stop of hanoverd; see ``HistoryStore``."""

    def open(self) -> int:
        """Return the ID of the last handover; 0 if there is none."""

    def save(self, record: Record) -> None:
        """Save a handover as it is now, or soon."""

    def read(self, query: HistoryQuery) -> Coroutine[Deferred[Any], Any, list[dict[str, Any]]]:
        """Return the saved handovers that are asked for, as JSON data, the oldest first."""

    def close(self) -> Coroutine[Deferred[Any], Any, None]:
        """Fire when all is saved, or cannot be saved in time."""


class History:
    """The handovers of ``app``.  ``now`` returns the Unix time, and ``seconds`` the time of a monotonic clock.

    Without a ``store``, the last ``MOST`` handovers are remembered, until the process ends.
    """

    def __init__(
        self, now: Callable[[], float], seconds: Callable[[], float], app: str = "", store: Store | None = None
    ) -> None:
        self._now = now
        self._seconds = seconds
        self._app = app
        self._store = store
        self._records: deque[Record] = deque(maxlen=MOST)
        self._started: dict[int, float] = {}
        self._count = self._before = 0
        #: The origins of commands by the numbers of their handovers, and of triggers by their reasons.
        self._origins: dict[int | str, Origin] = {}
        self._waiting: list[Callable[[Record], object]] = []

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the handovers in memory, the oldest first."""
        return iter(list(self._records))

    def open(self) -> None:
        """Continue the numbers of earlier runs; call it before the first handover.  Blocks, as the store's ``open``."""
        if self._store is not None:
            self._count = self._before = self._store.open()

    async def close(self) -> None:
        """Save what is not saved yet; fires when that is done, or cannot be done in time."""
        if self._store is not None:
            await self._store.close()

    async def search(self, query: HistoryQuery) -> list[dict[str, Any]]:
        """Return the handovers that are asked for, of earlier runs too, as JSON data, the oldest first."""
        saved = [] if self._store is None else await self._store.read(query)
        found = {record["id"]: record for record in saved}
        found |= {record.id: record.json() for record in self._records}
        return query.select(found.values())

    # -- who asks

    def note_origin(self, reason: str, origin: Origin) -> None:
        """Note who or what is behind the triggers of this reason."""
        self._origins.pop(reason, None)
        self._origins[reason] = origin
        while len(self._origins) > _MOST_ORIGINS:
            del self._origins[next(iter(self._origins))]

    def reserve_number(self, origin: Origin | None = None) -> int:
        """Return the number of a handover that starts later, for a command from ``origin``."""
        self._count += 1
        if origin is not None:
            self._origins[self._count] = origin
        return self._count

    # -- handovers

    @property
    def last(self) -> Record | None:
        """Return the handover that is in progress, or the last one."""
        newest_first = list(reversed(self._records))
        return next(
            (record for record in newest_first if not record.is_over), newest_first[0] if newest_first else None
        )

    def start(self, reasons: Sequence[str], number: int | None = None, kind: str = OTHER) -> Record:
        """Record the start of a handover, and return its record; idempotent for a ``number`` that was reserved.

        ``kind`` is that of triggers whose origin was not noted.
        """
        found = None if number is None else self.get(number)
        if found is not None:
            return found
        commanded = None if number is None else self._origins.pop(number, None)
        record = Record(
            self.reserve_number() if number is None else number,
            shortened(", ".join(reasons), LONGEST_TRIGGER),
            self._now(),
            app=self._app,
            asked_by=[*self._asked_by(reasons, kind, commanded)],
        )
        self._started[record.id] = self._seconds()
        self._records.append(record)
        self._save(record)
        return record

    def progressed(self, record: Record) -> None:
        """Save what is known so far of a handover in progress."""
        self._save(record)

    def finish(self, record: Record, outcome: str, why: str = "") -> None:
        """Record the outcome of a handover.  A record that has ended is not changed."""
        if record.is_over:
            return
        record.outcome, record.why = outcome, shortened(why, LONGEST_WHY)
        record.took = self._seconds() - self._started.pop(record.id)
        self._save(record)
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call(record)

    def drained(self, drained: Drained) -> None:
        """Record how the connections of a version ended, with the handover that replaced it."""
        for record in reversed(self._records):
            if record.outcome == LIVE and record.old == drained.version:
                record.drained.append(drained)
                self._save(record)
                return

    def on_finish(self, call: Callable[[Record], object]) -> None:
        """Call ``call`` once, when the next handover ends."""
        self._waiting.append(call)

    def withdraw(self, call: Callable[[Record], object]) -> None:
        """Do not call ``call`` any more. Idempotent."""
        if call in self._waiting:
            self._waiting.remove(call)

    def is_known(self, number: int) -> bool:
        """Whether a handover with this ID is in memory, or its number is reserved."""
        oldest = self._records[0].id if self._records else self._before + 1
        return 0 < number <= self._count and (self.get(number) is not None or number >= oldest)

    def get(self, number: int) -> Record | None:
        """Return the handover with this ID, if it has started and is in memory."""
        return next((record for record in self._records if record.id == number), None)

    def _asked_by(self, reasons: Sequence[str], kind: str, commanded: Origin | None) -> Iterator[Origin]:
        """Yield the origins of a handover, each once; that of its command, which has the last reason, is last."""
        triggers = reasons if commanded is None else reasons[:-1]
        found = [self._origins.get(reason, Origin(kind)) for reason in triggers]
        yield from dict.fromkeys(found if commanded is None else [*found, commanded])

    def _save(self, record: Record) -> None:
        if self._store is not None:
            self._store.save(record)
