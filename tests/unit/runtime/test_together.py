"""Several works at once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from hanoverd.runtime.together import together


class TogetherTests(SynchronousTestCase):
    """With works that are ended by hand."""

    def setUp(self) -> None:
        self.works: list[Deferred[int]] = [Deferred(), Deferred(), Deferred()]
        self.waiting = Deferred.fromCoroutine(together(self.works))

    def test_the_results_are_in_the_order_of_the_works(self) -> None:
        for number in (2, 0, 1):
            self.assertNoResult(self.waiting)
            self.works[number].callback(number)
        self.assertEqual(self.successResultOf(self.waiting), [0, 1, 2])

    def test_nothing_is_done_at_once(self) -> None:
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(together([]))), [])

    def test_a_failure_waits_for_the_others(self) -> None:
        self.works[0].errback(KeyError("x"))
        self.works[1].callback(1)
        self.assertNoResult(self.waiting)
        self.works[2].callback(2)
        self.failureResultOf(self.waiting, KeyError)

    def test_a_cancel_is_a_cancel_when_all_have_ended(self) -> None:
        slow: Deferred[int] = Deferred(lambda _: None)
        slow.cancel = lambda: None  # type: ignore[method-assign]
        self.waiting = Deferred.fromCoroutine(together([Deferred(), slow]))
        self.waiting.cancel()
        self.assertNoResult(self.waiting)
        slow.callback(1)
        self.failureResultOf(self.waiting, CancelledError)
