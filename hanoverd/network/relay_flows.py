"""Which UDP flows a relay remembers, and for how long. Pure.

A flow is what one client sends from one port, and the answers. UDP has no end, so a flow ends when it has been silent for a
while. The times are the kernel's for flows that it forwards itself (nf_conntrack_udp_timeout in the kernel's
Documentation/networking/nf_conntrack-sysctl.rst).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
F = TypeVar("F")


@dataclass(frozen=True)
class FlowTimeouts:
    """How long a flow may be silent, in seconds: one without an answer so far, and one with."""

    unanswered: float = 30.0
    answered: float = 120.0


class FlowTable(Generic[K, F]):
    """At most ``limit`` flows, by their keys.

    When there are more, the flow that has been silent for the longest time leaves; those without an answer leave first.
    Anyone can begin such flows, and with any address as the sender's.
    """

    def __init__(self, limit: int, timeouts: FlowTimeouts) -> None:
        self._limit = limit
        self._timeouts = timeouts
        #: Both in the order of the last datagram: the flow, and the time of that datagram in seconds.
        self._unanswered: OrderedDict[K, tuple[F, float]] = OrderedDict()
        self._answered: OrderedDict[K, tuple[F, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._unanswered) + len(self._answered)

    def __iter__(self) -> Iterator[F]:
        yield from [flow for flow, _ in (*self._unanswered.values(), *self._answered.values())]

    @property
    def answered(self) -> list[F]:
        """The flows that were answered."""
        return [flow for flow, _ in self._answered.values()]

    def get(self, key: K, now: float) -> F | None:
        """Return the flow of a datagram of a client, at the time ``now``; None if it is a new one."""
        for flows in (self._answered, self._unanswered):
            if key in flows:
                flow, _ = flows[key]
                flows[key] = (flow, now)
                flows.move_to_end(key)
                return flow
        return None

    def add(self, key: K, flow: F, now: float) -> F | None:
        """Add a new flow, and return the one that leaves for it."""
        leaving = None
        if len(self) >= self._limit:
            _, (leaving, _) = (self._unanswered or self._answered).popitem(last=False)
        self._unanswered[key] = (flow, now)
        return leaving

    def note_answer(self, key: K, now: float) -> None:
        """Remember that the flow was answered."""
        entry = self._answered.pop(key, None) or self._unanswered.pop(key, None)
        if entry is not None:
            self._answered[key] = (entry[0], now)

    def remove(self, key: K) -> None:
        """Remove a flow; idempotent."""
        self._answered.pop(key, None)
        self._unanswered.pop(key, None)

    def pop_expired(self, now: float) -> list[F]:
        """Remove the flows that have been silent for too long, and return them."""
        expired = []
        for flows, timeout in (
            (self._unanswered, self._timeouts.unanswered),
            (self._answered, self._timeouts.answered),
        ):
            while flows:
                key, (flow, last) = next(iter(flows.items()))
                if last + timeout > now:
                    break
                del flows[key]
                expired.append(flow)
        return expired
