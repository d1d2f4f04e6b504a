"""The history of an app's handovers, for people and programs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from hanoverd.text.lines import shortened

#: The outcomes of a handover.
UNDER_WAY, LIVE, FAILED, CANCELLED, UNCHANGED = "under way", "live", "failed", "cancelled", "unchanged"

#: How many handovers are remembered.
MOST = 100

#: How much is remembered of the trigger of a handover, and of why it failed, in characters.
LONGEST_TRIGGER, LONGEST_WHY = 1024, 32 * 1024


@dataclass
class Record:
    """One handover.  ``began`` is a Unix time, ``took`` and the times of the ``phases`` are in seconds."""

    id: int
    trigger: str
    began: float
    version: str = ""
    old: str = ""
    #: The version that this one repeats, if it is a rollback.
    rollback_to: str = ""
    image: str = ""
    image_id: str = ""
    phases: list[tuple[str, float]] = field(default_factory=list)
    outcome: str = UNDER_WAY
    why: str = ""
    took: float | None = None
    #: How often the engine was lost during it.
    losses: int = 0

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.outcome != UNDER_WAY

    def json(self) -> dict[str, object]:
        """Return it as JSON data, with the phases as objects."""
        return {**asdict(self), "phases": [{"phase": phase, "seconds": seconds} for phase, seconds in self.phases]}


class History:
    """The last handovers.  ``now`` returns the Unix time, and ``seconds`` the time of a monotonic clock."""

    def __init__(self, now: Callable[[], float], seconds: Callable[[], float]) -> None:
        self._now = now
        self._seconds = seconds
        self._records: deque[Record] = deque(maxlen=MOST)
        self._started: dict[int, float] = {}
        self._count = 0
        self._waiting: list[Callable[[Record], object]] = []

    def __iter__(self) -> Iterator[Record]:
        """Iterate over the handovers, the oldest first."""
        return iter(list(self._records))

    def reserve_number(self) -> int:
        """Return the number of a handover that starts later."""
        self._count += 1
        return self._count

    @property
    def last(self) -> Record | None:
        """Return the handover that is in progress, or the last one."""
        newest_first = list(reversed(self._records))
        return next(
            (record for record in newest_first if not record.is_over), newest_first[0] if newest_first else None
        )

    def start(self, reasons: Sequence[str], number: int | None = None) -> Record:
        """Record the start of a handover, and return its record; idempotent for a ``number`` that was reserved."""
        found = None if number is None else self.get(number)
        if found is not None:
            return found
        record = Record(
            self.reserve_number() if number is None else number,
            shortened(", ".join(reasons), LONGEST_TRIGGER),
            self._now(),
        )
        self._started[record.id] = self._seconds()
        self._records.append(record)
        return record

    def finish(self, record: Record, outcome: str, why: str = "") -> None:
        """Record the outcome of a handover.  A record that has ended is not changed."""
        if record.is_over:
            return
        record.outcome, record.why = outcome, shortened(why, LONGEST_WHY)
        record.took = self._seconds() - self._started.pop(record.id)
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            call(record)

    def on_finish(self, call: Callable[[Record], object]) -> None:
        """Call ``call`` once, when the next handover ends."""
        self._waiting.append(call)

    def withdraw(self, call: Callable[[Record], object]) -> None:
        """Do not call ``call`` any more. Idempotent."""
        if call in self._waiting:
            self._waiting.remove(call)

    def is_known(self, number: int) -> bool:
        """Whether a handover with this ID is remembered, or its number is reserved."""
        oldest = self._records[0].id if self._records else 1
        return 0 < number <= self._count and (self.get(number) is not None or number >= oldest)

    def get(self, number: int) -> Record | None:
        """Return the handover with this ID, if it has started and is remembered."""
        return next((record for record in self._records if record.id == number), None)
