"""Which work triggers begin, and which they end."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from hanoverd.concurrency.cancellation import uncancellable
from hanoverd.model.wishes import Earlier, FromSource, NamedImage
from hanoverd.triggers import WAITS, Order, Ordered, Triggers


class Work:
    """Lasts until ``end`` is called, or it is cancelled; remembers what was asked for and what became of it."""

    def __init__(self) -> None:
        self.orders: list[Order] = []
        self.cancelled: list[str] = []
        self._ends: Deferred[None] = Deferred()
        self._slow: Deferred[None] | None = None
        self.clock = Clock()
        self.triggers = Triggers(self.clock, self.do)
        self.triggers.start()

    async def do(self, order: Order) -> None:
        self.orders.append(order)
        self._ends = Deferred()
        try:
            await self._ends
        except CancelledError:
            self.cancelled.append(self.triggers.why_cancelled)
            if self._slow is not None:
                slow, self._slow = self._slow, None
                await uncancellable(slow)

    def lasts(self, slow: Deferred[None]) -> None:
        """Have the next one that is cancelled take its time."""
        self._slow = slow

    def end(self) -> None:
        self._ends.callback(None)

    @property
    def reasons(self) -> list[str]:
        return ["+".join(order.reasons) for order in self.orders]


@pytest.fixture
def work() -> Work:
    return Work()


def test_a_trigger_begins_it_and_a_newer_one_begins_it_anew(work: Work) -> None:
    work.triggers.trigger("a")
    work.triggers.trigger("b")
    assert work.reasons == ["a", "b"]
    assert work.cancelled == ["a newer one begins"]


def test_what_is_queued_waits_for_the_end(work: Work) -> None:
    work.triggers.trigger("a")
    work.triggers.queue("again")
    assert work.reasons == ["a"]
    work.end()
    assert work.reasons == ["a", "again"]
    assert [order.is_queued for order in work.orders] == [False, True]
    work.triggers.queue("again")
    work.triggers.trigger("b")
    # Together they are no mere repetition.
    assert work.orders[-1] == Order(("b", "again"), FromSource())


def test_what_is_queued_and_urgent_goes_first_and_is_waited_for(work: Work) -> None:
    work.triggers.is_urgent = lambda: True
    work.triggers.trigger("a", "abc")
    work.triggers.queue("again")
    work.triggers.postpone("again first")
    assert (work.reasons, work.cancelled) == (["a", "again"], ["again first"])
    work.triggers.trigger("b")
    work.triggers.order(Ordered("deploy", NamedImage("x"), 7))
    assert work.reasons == ["a", "again"]
    work.end()
    assert work.reasons == ["a", "again", "a+b+deploy"]
    assert work.orders[-1].wish == NamedImage("x")
    assert work.clock.getDelayedCalls() == []
    # That is no repetition: nobody waits for it.
    work.triggers.trigger("c")
    assert work.orders[-1] == Order(("c",), FromSource("abc"))


def test_what_is_urgent_is_not_waited_for_for_ever(work: Work) -> None:
    work.triggers.is_urgent = lambda: True
    work.triggers.queue("again")
    for _ in range(3):
        work.triggers.trigger("a")
        work.clock.advance(WAITS / 3 + 0.1)
    assert (work.reasons, work.cancelled) == (["again", "a"], ["a newer one begins"])


def test_an_order_that_is_postponed_is_done_after(work: Work) -> None:
    work.triggers.is_urgent = lambda: True
    work.triggers.postpone("nothing is under way")
    work.triggers.order(Ordered("deploy", NamedImage("x"), 7))
    work.triggers.queue("again")
    work.triggers.postpone("again first")
    assert not work.triggers.is_postponed
    work.triggers.postpone("again first")
    work.end()
    assert work.reasons == ["deploy", "again", "deploy"]
    assert work.orders[-1] == work.orders[0]


def test_a_revision_is_meant_by_later_triggers_too_and_a_wish_is_for_once(work: Work) -> None:
    work.triggers.trigger("hookbot", "abc")
    work.triggers.order(Ordered("deploy", NamedImage("web:2"), 7))
    work.triggers.trigger("SIGHUP")
    work.triggers.order(Ordered("rollback", Earlier(3), 7))
    assert [order.wish for order in work.orders] == [
        *(FromSource("abc"), NamedImage("web:2"), FromSource("abc"), Earlier(3))
    ]


def test_an_order_that_never_begins_is_told(work: Work) -> None:
    dropped: list[tuple[str, str]] = []
    work.triggers.on_dropped = lambda ordered, why: dropped.append((ordered.reason, why))
    slow: Deferred[None] = Deferred()
    work.lasts(slow)
    work.triggers.trigger("a")
    work.triggers.order(Ordered("deploy x", NamedImage("x"), 7))
    work.triggers.order(Ordered("deploy y", NamedImage("y"), 7))
    work.triggers.trigger("b")
    assert dropped == [("deploy x", "a newer one begins"), ("deploy y", "a newer one begins")]
    slow.callback(None)
    assert work.reasons == ["a", "b"]
    assert work.orders[-1].wish == FromSource()
    slow = Deferred()
    work.lasts(slow)
    work.triggers.order(Ordered("deploy z", NamedImage("z"), 7))
    work.triggers.order(Ordered("deploy z", NamedImage("z"), 7))
    work.triggers.cancel("told so")
    assert dropped[2:] == [("deploy z", "a newer one begins"), ("deploy z", "told so")]
    slow.callback(None)
    assert work.reasons == ["a", "b"]
    assert not work.triggers.is_busy


def test_cancel_ends_what_is_under_way_and_forgets_what_waits(work: Work) -> None:
    assert not work.triggers.cancel("told so")
    work.triggers.trigger("a")
    assert work.triggers.cancel("told so")
    assert (work.reasons, work.cancelled) == (["a"], ["told so"])
    assert not work.triggers.is_busy
    work.triggers.trigger("b")
    assert work.reasons == ["a", "b"]


def test_cancel_does_not_forget_what_is_queued(work: Work) -> None:
    work.triggers.trigger("a")
    work.triggers.queue("again")
    work.triggers.cancel("told so")
    assert work.reasons == ["a", "again"]


def test_while_paused_triggers_are_held_and_orders_and_what_is_queued_are_not(work: Work) -> None:
    work.triggers.pause()
    work.triggers.trigger("a", "abc")
    work.triggers.trigger("b")
    work.triggers.pause()
    assert (work.triggers.is_paused, work.triggers.held, work.orders) == (True, ("a", "b"), [])
    work.triggers.order(Ordered("deploy", FromSource(), 7))
    work.end()
    work.triggers.queue("again")
    work.end()
    assert work.reasons == ["deploy", "again"]
    work.triggers.resume()
    assert work.reasons[2:] == ["a", "b"]
    assert work.orders[-1].wish == FromSource("abc")
    assert not work.triggers.is_paused
    work.triggers.resume()
    assert len(work.orders) == 4


def test_what_was_missed_while_paused_is_made_up_for(work: Work) -> None:
    work.triggers.obtained = "abc"
    work.triggers.pause()
    work.triggers.missed("def")
    assert work.orders == []
    work.triggers.resume()
    assert [order.wish for order in work.orders] == [FromSource("def")]


def test_what_was_missed_is_done_after_what_is_under_way_unless_that_has_it(work: Work) -> None:
    work.triggers.trigger("a")
    work.triggers.missed("abc")
    work.triggers.obtained = "abc"
    work.end()
    assert work.reasons == ["a"]
    work.triggers.missed("def")
    assert work.reasons[1:] == ["hookbot was away, and the source has changed: def"]


def test_after_a_stop_nothing_begins(work: Work) -> None:
    work.triggers.trigger("a")
    stopped = Deferred.fromCoroutine(work.triggers.stop())
    assert (stopped.called, work.cancelled, work.triggers.is_stopping) == (True, ["hanoverd stops"], True)
    work.triggers.trigger("b")
    assert work.reasons == ["a"]
