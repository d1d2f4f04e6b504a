"""The monitor of a container, with an engine that is played by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from hanoverd.runtime.errors import EngineRefused, EngineUnreachable, NotFound
from hanoverd.spec.run.streams import OUTPUT, Stream
from hanoverd.text.lines import Tail
from hanoverd.versions import monitor as module
from hanoverd.versions import output
from hanoverd.versions.monitor import KILLED, LAST_OUTPUT_WITHIN, ContainerMonitor

AWAY = EngineUnreachable("no engine answers")
BUSY = EngineRefused("cannot wait", 503, "service unavailable")
GONE = NotFound("cannot wait", 404, "No such container")

Reading = tuple[Deferred[None], float | None, Callable[[bytes], object]]


class PlayedEngine:
    """Two of the engine's verbs: each request waits until the test answers it, or fails at once while ``is_away``."""

    def __init__(self) -> None:
        self.waits: list[Deferred[int]] = []
        self.readings: list[Reading] = []
        self.streams: list[tuple[Stream, ...]] = []
        self.last_outputs: list[Deferred[bytes]] = []
        self.asked: list[str] = []
        self.is_away = False

    async def wait(self, container_id: str) -> int:
        self.asked.append(container_id)
        if self.is_away:
            raise AWAY
        self.waits.append(Deferred())
        return await self.waits[-1]

    async def follow_output(
        self,
        container_id: str,
        since: float | None,
        on_output: Callable[[bytes], object],
        streams: Collection[Stream],
    ) -> None:
        self.asked.append(container_id)
        if self.is_away:
            raise AWAY
        self.streams.append(tuple(streams))
        reading: Deferred[None] = Deferred()
        self.readings.append((reading, since, on_output))
        await reading

    async def last_output(self, container_id: str, lines: int) -> bytes:
        self.asked.append(container_id)
        if self.is_away:
            raise AWAY
        self.last_outputs.append(Deferred())
        return await self.last_outputs[-1]

    def prints(self, data: bytes) -> None:
        """The container prints."""
        self.readings[-1][2](data)

    def ends_output(self, error: Exception | None = None) -> None:
        """The stream of its output ends."""
        reading = self.readings[-1][0]
        if error is None:
            reading.callback(None)
        else:
            reading.errback(Failure(error))


class WatchTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.engine = PlayedEngine()
        self.logged: list[str] = []
        logged = self.logged

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_namespace") in (module.__name__, output.__name__) and event["log_level"] >= LogLevel.info:
                logged.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def watch(self, since: float | None = None, streams: tuple[Stream, ...] = OUTPUT) -> ContainerMonitor:
        """A monitor of the container b1, called app-1."""
        engine: Any = self.engine  # enough of an engine
        return ContainerMonitor(self.clock, engine, "b1", "app-1", since, streams=streams)

    def assert_closes_at_once(self, watch: ContainerMonitor) -> None:
        closing = Deferred.fromCoroutine(watch.close())
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def end(self, watch: ContainerMonitor) -> None:
        """The container ends, and is no longer looked at."""
        self.engine.waits[-1].callback(0)
        self.engine.ends_output()
        self.assert_closes_at_once(watch)

    def test_the_engine_is_asked_by_id_and_the_log_shows_the_name(self) -> None:
        watch = self.watch()
        self.engine.prints(b"hello\n")
        self.assertEqual(set(self.engine.asked), {"b1"})
        self.assertEqual(self.logged, ["app-1  | hello"])
        self.end(watch)

    # -- the end

    def test_an_answer_that_is_an_error_is_not_the_end_of_the_container(self) -> None:
        watch = self.watch()
        for error in (BUSY, AWAY, BUSY):
            self.engine.waits[-1].errback(Failure(error))
            self.assertFalse(watch.exit.is_settled)
            self.clock.advance(5)
        self.assertEqual(len(self.engine.waits), 4)
        self.engine.waits[-1].callback(3)
        self.assertEqual(watch.exit.get(), 3)
        self.engine.ends_output()
        self.assert_closes_at_once(watch)

    def test_a_wait_that_was_broken_off_is_not_the_end_of_the_container(self) -> None:
        watch = self.watch()
        self.engine.waits[-1].callback(-1)
        self.assertFalse(watch.exit.is_settled)
        self.clock.advance(5)
        self.end(watch)

    def test_a_container_that_is_gone_counts_as_killed(self) -> None:
        watch = self.watch()
        self.engine.waits[-1].errback(Failure(GONE))
        self.assertEqual(watch.exit.get(), KILLED)
        self.engine.ends_output()
        self.assert_closes_at_once(watch)

    # -- the output

    def test_output_goes_on_from_the_last_piece_after_the_engine_was_away(self) -> None:
        watch = self.watch(since=5.0)
        self.patch(time, "time", lambda: 1000.5)
        self.engine.prints(b"one\ntw")
        self.engine.ends_output(AWAY)
        self.engine.is_away = True
        self.clock.pump([1.0] * 30)
        self.engine.is_away = False
        self.clock.advance(5)
        self.assertEqual([since for _, since, _ in self.engine.readings], [5.0, 1000.5])
        self.engine.prints(b"three\n")
        self.assertEqual(self.logged, [
            "app-1  | one",
            "app-1: output not shown for now: no engine answers",
            "app-1  | tw",
            "app-1  | three",
        ])  # fmt: skip
        self.end(watch)

    def test_output_that_ends_while_the_container_runs_is_followed_again(self) -> None:
        watch = self.watch()
        self.engine.ends_output()
        self.clock.pump([1.0] * 3)
        self.assertEqual(len(self.engine.readings), 2)
        self.end(watch)
        self.assertEqual(len(self.engine.readings), 2)

    def test_what_was_printed_while_the_engine_was_away_is_shown_after_the_end_too(self) -> None:
        watch = self.watch()
        self.engine.ends_output(AWAY)
        self.engine.waits[-1].callback(1)
        self.clock.advance(1)
        self.engine.prints(b"last words\n")
        self.engine.ends_output()
        self.assertEqual(list(watch.tail), ["last words"])
        self.assert_closes_at_once(watch)

    def test_a_log_that_cannot_be_read_is_not_asked_for_again(self) -> None:
        watch = self.watch()
        self.engine.ends_output(EngineRefused("cannot read", 501, "the log driver does not support reading"))
        self.clock.pump([5.0] * 5)
        self.assertEqual(len(self.engine.readings), 1)
        self.assertIn("does not support reading", self.logged[-1])
        self.engine.waits[-1].callback(0)
        self.assert_closes_at_once(watch)

    def test_the_last_lines_of_a_flood_that_is_still_being_read_come_from_the_engine(self) -> None:
        watch = self.watch()
        self.engine.prints(b"y\n" * 100)
        self.engine.waits[-1].callback(3)
        asking = Deferred.fromCoroutine(watch.last_output())
        self.clock.advance(LAST_OUTPUT_WITHIN)
        self.engine.last_outputs[-1].callback(b"y\nthe reason\r\n")
        tail: Tail | None = self.successResultOf(asking)
        assert tail is not None
        self.assertEqual(list(tail), ["y", "the reason"])
        self.assert_closes_at_once(watch)

    def test_they_are_those_that_were_read_where_the_engine_does_not_answer(self) -> None:
        for is_away in (True, False):
            self.engine.is_away = False
            watch = self.watch()
            self.engine.prints(b"one\ntwo\n")
            self.engine.waits[-1].callback(3)
            self.engine.is_away = is_away
            asking = Deferred.fromCoroutine(watch.last_output())
            self.clock.advance(LAST_OUTPUT_WITHIN)
            self.clock.advance(LAST_OUTPUT_WITHIN)
            tail: Tail | None = self.successResultOf(asking)
            assert tail is not None
            self.assertEqual(list(tail), ["one", "two"])
            self.assert_closes_at_once(watch)

    def test_the_engine_is_not_asked_where_all_was_read(self) -> None:
        watch = self.watch()
        self.engine.prints(b"one\ntwo")
        self.engine.waits[-1].callback(3)
        self.engine.ends_output()
        asking = Deferred.fromCoroutine(watch.last_output())
        tail: Tail | None = self.successResultOf(asking)
        assert tail is not None
        self.assertEqual(list(tail), ["one", "two"])
        self.assertEqual(self.engine.last_outputs, [])
        self.assert_closes_at_once(watch)

    def test_only_the_streams_that_are_attached_are_logged_and_the_last_lines_are_of_both(self) -> None:
        watch = self.watch(streams=(Stream.STDOUT,))
        self.assertEqual(self.engine.streams, [(Stream.STDOUT,)])
        self.engine.prints(b"out\n")
        self.assertEqual(self.logged, ["app-1  | out"])
        self.engine.waits[-1].callback(3)
        self.engine.ends_output()
        asking = Deferred.fromCoroutine(watch.last_output())
        self.engine.last_outputs[-1].callback(b"out\nthe reason\n")
        tail: Tail | None = self.successResultOf(asking)
        assert tail is not None
        self.assertEqual(list(tail), ["out", "the reason"])
        self.assert_closes_at_once(watch)

    def test_the_last_lines_are_unknown_where_no_log_can_be_read(self) -> None:
        watch = self.watch()
        self.engine.ends_output(EngineRefused("cannot read", 501, "does not support reading"))
        self.engine.waits[-1].callback(3)
        self.assertIsNone(self.successResultOf(Deferred.fromCoroutine(watch.last_output())))
        self.assert_closes_at_once(watch)

    # -- closing

    def test_closing_waits_a_moment_for_the_last_output(self) -> None:
        watch = self.watch()
        closing = Deferred.fromCoroutine(watch.close())
        self.assertNoResult(closing)
        self.clock.advance(LAST_OUTPUT_WITHIN / 2)
        self.engine.prints(b"last words")
        self.clock.advance(LAST_OUTPUT_WITHIN / 2)
        self.successResultOf(closing)
        self.assertEqual(list(watch.tail), ["last words"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_the_output_of_a_container_that_runs_on_is_not_waited_for(self) -> None:
        watch = self.watch()
        self.successResultOf(Deferred.fromCoroutine(watch.detach()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closing_is_prompt_while_the_engine_is_away(self) -> None:
        self.engine.is_away = True
        watch = self.watch()
        self.clock.pump([1.0] * 10)
        self.assert_closes_at_once(watch)

    def test_closing_is_prompt_when_the_container_has_ended_and_the_engine_went_away(self) -> None:
        watch = self.watch()
        self.engine.ends_output(AWAY)
        self.engine.is_away = True
        self.engine.waits[-1].callback(1)
        self.clock.advance(3)
        self.assert_closes_at_once(watch)
