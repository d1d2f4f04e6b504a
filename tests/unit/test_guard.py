"""Looking after the rules."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.errors import FirewallError
from hanoverd.guard import EVERY, Guard
from hanoverd.switch import Switch


class Mending:
    """A switch whose rules are put right when the test says so."""

    def __init__(self) -> None:
        self.looks: list[Deferred[str | None]] = []

    async def mend(self) -> str | None:
        """Deaf to a cancel, as the real one."""
        self.looks.append(Deferred())
        return await uncancellable(self.looks[-1])


def test_it_ends_though_it_is_told_so_in_the_middle_of_putting_right() -> None:
    clock, switch = Clock(), Mending()
    guard = Guard(clock, cast("Switch", switch))
    guard.start()
    clock.advance(EVERY)
    stopping: Deferred[Any] = Deferred.fromCoroutine(guard.stop())
    assert not stopping.called
    switch.looks[0].callback("flushed")
    assert stopping.called
    assert clock.getDelayedCalls() == []
    assert guard.mended == 1


def test_it_goes_on_looking_whatever_it_finds() -> None:
    clock, switch = Clock(), Mending()
    guard = Guard(clock, cast("Switch", switch))
    guard.start()
    for found in (None, "flushed", FirewallError("busy"), FirewallError("busy"), "flushed"):
        clock.advance(EVERY)
        if isinstance(found, Exception):
            switch.looks[-1].errback(found)
        else:
            switch.looks[-1].callback(found)
    assert (len(switch.looks), guard.mended) == (5, 2)
    stopping: Deferred[Any] = Deferred.fromCoroutine(guard.stop())
    assert stopping.called
