"""The output of a container in the log."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, eventAsText
from twisted.trial.unittest import TestCase

from hanoverd.text.lines import LONGEST_LINE, TAIL, TAIL_WIDTH
from hanoverd.versions.output import LIMIT, REPORT_AFTER, Output


class OutputTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.output = Output(self.clock, "app-1")

    def logged(self, data: bytes, seconds: float = 0) -> list[Any]:
        """The events for this output, and the time after it."""
        with capturedLogs() as events:
            self.output.add(data)
            self.clock.advance(seconds)
        return list(events)

    def finished(self) -> list[Any]:
        with capturedLogs() as events:
            self.output.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        return list(events)

    def test_each_line_is_an_event(self) -> None:
        events = [*self.logged(b"one\r\ntwo\nthr"), *self.logged(b"ee"), *self.finished()]
        self.assertEqual([event["line"] for event in events], ["one", "two", "three"])
        self.assertEqual(eventAsText(events[0], includeTimestamp=False, includeSystem=False), "app-1  | one")

    def test_output_without_newlines_costs_little_and_is_cut(self) -> None:
        begun = time.process_time()
        events = [event for _ in range(1024) for event in self.logged(b"x" * LONGEST_LINE, 0.01)]
        self.assertLess(time.process_time() - begun, 3)
        self.assertEqual({len(event["line"]) for event in events}, {LONGEST_LINE})
        self.finished()
        self.assertEqual((len(self.output.tail), {len(line) for line in self.output.tail}), (TAIL, {TAIL_WIDTH + 1}))

    def test_a_flood_is_logged_in_part_and_its_last_lines_are_kept(self) -> None:
        events = self.logged(b"y\n" * (LIMIT.lines_at_once + 500) + b"last words\n", REPORT_AFTER)
        *lines, report = events
        self.assertEqual(len(lines), LIMIT.lines_at_once)
        self.assertEqual((report["event"], report["count"], report["version"]), ("output_dropped", 501, "app-1"))
        self.assertEqual(
            eventAsText(report, includeTimestamp=False, includeSystem=False),
            "app-1: 501 lines of output not logged: it prints more than 2000 lines or 2 MiB a second "
            "(`docker logs app-1` shows all)",
        )
        self.assertEqual(list(self.output.tail)[-2:], ["y", "last words"])
        self.assertEqual(self.finished(), [])

    def test_a_flood_of_long_lines_is_logged_in_part(self) -> None:
        size = LONGEST_LINE - 1
        events = self.logged((b"x" * size + b"\n") * (LIMIT.bytes_at_once // size + 10), REPORT_AFTER)
        self.assertEqual(sum(len(event["line"]) for event in events[:-1]), LIMIT.bytes_at_once // size * size)
        self.assertEqual(events[-1]["count"], 10)
        self.clock.advance(1)
        self.assertEqual(
            len(self.logged((b"x" * size + b"\n") * 10_000)), min(6 * LIMIT.bytes, LIMIT.bytes_at_once) // size
        )
        self.finished()

    def test_after_a_flood_there_is_room_for_so_much_a_second(self) -> None:
        self.logged(b"y\n" * LIMIT.lines_at_once)
        self.clock.advance(1)
        self.assertEqual(len(self.logged(b"y\n" * (LIMIT.lines + 7))), LIMIT.lines)
        # The rest is reported when the output ends or is interrupted.
        [report] = self.finished()
        self.assertEqual(report["count"], 7)
        self.clock.advance(3600)
        self.assertEqual(len(self.logged(b"y\n" * LIMIT.lines_at_once)), LIMIT.lines_at_once)

    def test_a_flood_is_reported_again_and_again_but_not_for_each_line(self) -> None:
        self.logged(b"y\n" * LIMIT.lines_at_once)
        events = [event for _ in range(30) for event in self.logged(b"y\n" * 3 * LIMIT.lines, 1)]
        reports = [event for event in events if event["event"] == "output_dropped"]
        self.assertEqual(len(reports), 30 / REPORT_AFTER)
        reports += self.finished()
        self.assertEqual(sum(report["count"] for report in reports) + len(events) - 6, 30 * 3 * LIMIT.lines)
