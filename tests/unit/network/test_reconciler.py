"""The rules are checked once a second, whatever the last check found."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hanoverd.network.forwarding_monitor import ForwardingMonitor
from hanoverd.network.reconciler import INTERVAL, Reconciler
from hanoverd.network.routes import Routes
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import FirewallError
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PublishedPort


class Far:
    """Routes whose repairs end when the test ends them."""

    def __init__(self) -> None:
        self.repairs: list[Deferred[str | None]] = []

    async def repair(self) -> str | None:
        """It ignores cancellation, as the real one."""
        self.repairs.append(Deferred())
        return await shielded(self.repairs[-1])


class ReconcilerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.routes = Clock(), Far()
        self.forwards: bool | None = True
        port = PublishedPort(HostPort(ANY_IPV4, 8080), ContainerPort(80))
        forwarding = ForwardingMonitor("web", [port], lambda: self.forwards)
        self.reconciler = Reconciler(self.clock, cast("Routes", self.routes), forwarding)
        self.log: list[str] = []
        observer: Any = self.observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.reconciler.start()

    def observe(self, event: LogEvent) -> None:
        if event.get("log_namespace") in ("hanoverd.network.reconciler", "hanoverd.network.forwarding_monitor"):
            self.log.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    def check(self, found: str | Exception | None) -> None:
        """Let the next check find this."""
        self.clock.advance(INTERVAL)
        if isinstance(found, Exception):
            self.routes.repairs[-1].errback(found)
        else:
            self.routes.repairs[-1].callback(found)

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.reconciler.stop())

    def test_whether_the_host_forwards_is_checked_too(self) -> None:
        self.check(None)
        self.forwards = False
        self.check(None)
        self.check(None)
        [line] = self.log
        self.assertIn(
            "web: clients on other machines and in containers cannot connect: this host forwards no packets", line
        )

    def test_a_stop_waits_for_a_repair_under_way(self) -> None:
        self.clock.advance(INTERVAL)
        stopping = self.stop()
        self.assertNoResult(stopping)
        self.routes.repairs[0].callback("flushed")
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.reconciler.repairs, 1)

    def test_a_stop_between_two_checks_ends_at_once(self) -> None:
        self.check(None)
        self.successResultOf(self.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.routes.repairs), 1)

    def test_it_continues_whatever_a_check_finds(self) -> None:
        for found in (
            None,
            "flushed",
            FirewallError("busy"),
            FirewallError("busy"),
            OSError("too many files"),
            "flushed",
        ):
            self.check(found)
        self.assertEqual((len(self.routes.repairs), self.reconciler.repairs), (6, 2))
        self.successResultOf(self.stop())

    def test_a_repair_is_logged_with_what_was_wrong_and_trouble_once_until_it_is_over(self) -> None:
        for found in (FirewallError("busy"), FirewallError("busy"), "the chain X is gone", FirewallError("busy"), None):
            self.check(found)
        trouble = "firewall: rules cannot be checked: busy"
        repaired = "firewall: repaired a change by another program: the chain X is gone (1 repair so far)"
        self.assertEqual(self.log, [trouble, repaired, trouble])
        self.successResultOf(self.stop())
