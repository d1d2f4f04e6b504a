"""The hookbot server, and listeners that are slow or send too much."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from twisted.internet.defer import Deferred
from websockets.exceptions import ConnectionClosed

from hanoverd.hookbot.limits import ServerLimits, ServerTimeouts
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from tests.unit.hookbot.observing import logged
from tests.unit.hookbot.serving import ServerTestCase, read_all, slow_listener

#: Frames of a client, with a mask of zeros: pings and pongs of the largest size, and parts of a message, which are empty.
PING, PONG = (first + b"\xfd\0\0\0\0" + b"x" * 125 for first in (b"\x89", b"\x8a"))
FIRST_PART, EMPTY_PART = b"\x02\x80\0\0\0\0", b"\0\x80\0\0\0\0"


class SlowListenerTests(ServerTestCase):
    def test_a_slow_listener_is_dropped_and_holds_up_nobody(self) -> Deferred[None]:
        def story() -> None:
            quick = self.listen("/sub/a")
            with slow_listener(self.port, "/sub/a") as slow:
                body = b"x" * MAX_MESSAGE_BYTES
                for _ in range(30):
                    self.assertEqual(self.post("/pub/a", body)[0], 200)
                    self.assertEqual(len(quick.recv(5)), len(body))
                slow.settimeout(5)
                with pytest.raises(ConnectionResetError):
                    read_all(slow)
            self.assertEqual(len(self.server.subscribers.of("a")), 1)

        self.serve(ServerLimits(waiting_bytes=3 * MAX_MESSAGE_BYTES))
        return self.run_in_thread(story)

    def test_a_listener_that_takes_nothing_for_too_long_is_dropped(self) -> Deferred[None]:
        def story() -> None:
            with slow_listener(self.port, "/sub/a"):
                for _ in range(8):
                    self.post("/pub/a", b"x" * MAX_MESSAGE_BYTES)
                threading.Event().wait(0.6)
                self.assertNotIn("a", self.server.subscribers.topics)

        self.serve(ServerLimits(send_timeout=0.2))
        return self.run_in_thread(story)

    def test_a_listener_that_is_slow_for_a_moment_gets_all_in_order(self) -> Deferred[None]:
        def story() -> None:
            listener = self.listen("/sub/a")
            bodies = [bytes([n]) * (MAX_MESSAGE_BYTES // 2) for n in range(12)]
            for body in bodies:
                self.post("/pub/a", body)
            self.assertEqual([listener.recv(5) for _ in bodies], bodies)

        return self.run_in_thread(story)

    def test_a_listener_that_does_not_answer_pings_is_dropped(self) -> Deferred[None]:
        self.serve(timeouts=ServerTimeouts(ping=1.0, pong=2.0))

        def story() -> None:
            with slow_listener(self.port, "/sub/a") as slow:
                slow.settimeout(6)
                with pytest.raises(ConnectionResetError):
                    read_all(slow)
            # An honest one stays.
            listener = self.listen("/sub/a")
            threading.Event().wait(4)
            self.post("/pub/a", b"x")
            self.assertEqual(listener.recv(5), b"x")

        return self.run_in_thread(story)

    def test_a_listener_that_talks_too_much_is_dropped(self) -> Deferred[None]:
        def story() -> None:
            listener = self.listen("/sub/a")
            listener.send(b"x" * 100_000)
            with pytest.raises(ConnectionClosed):
                listener.recv(5)

        return self.run_in_thread(story)

    def test_a_listener_that_sends_too_many_frames_is_dropped(self) -> Deferred[None]:
        events = self.connections.enter_context(logged())

        def story() -> None:
            for frame in (PING, EMPTY_PART, PONG):
                with slow_listener(self.port, "/sub/a") as flooding:
                    flooding.settimeout(5)
                    flooding.sendall(FIRST_PART + frame * 98)
                    [connection] = self.server.subscribers.of("a")
                    self.assertFalse(connection.droppedByMe)
                    flooding.sendall(frame * 10)
                    with pytest.raises(ConnectionResetError):
                        read_all(flooding)
            reasons = [event.get("reason") for event in events if event.get("event") == "listener_dropped"]
            self.assertEqual(reasons, ["it sends too many frames"] * 3)
            # autobahn has a warning for each pong.
            self.assertEqual([event for event in events if event["log_namespace"].startswith("autobahn")], [])

        return self.run_in_thread(story)

    def test_pongs_do_not_wait_for_a_listener_that_reads_nothing(self) -> Deferred[None]:
        self.serve(ServerLimits(frames=10**9))

        def story() -> None:
            with slow_listener(self.port, "/sub/a") as flooding:
                [connection] = self.server.subscribers.of("a")
                for _ in range(200):
                    flooding.sendall(PING * 500)
                self.assertTrue(connection.is_behind)
                # 100,000 pongs would have 12 MiB. The kernel takes some of them.
                self.assertLess(connection.trafficStats.outgoingOctetsWireLevel, 6 * MAX_MESSAGE_BYTES)

        return self.run_in_thread(story)

    def test_what_waits_for_all_slow_listeners_is_limited_and_the_slowest_is_dropped(self) -> Deferred[None]:
        self.serve(ServerLimits(unsent=5 * MAX_MESSAGE_BYTES))

        def story() -> None:
            with ExitStack() as stack:
                slow = [stack.enter_context(slow_listener(self.port, f"/sub/{number}")) for number in range(4)]
                body = b"x" * MAX_MESSAGE_BYTES
                for number in range(4):
                    # The kernel takes some of them.
                    for _ in range(6):
                        self.post(f"/pub/{number}", body)
                slow[0].settimeout(5)
                with pytest.raises(ConnectionResetError):
                    read_all(slow[0])
                unsent = [one.unsent for topic in "0123" for one in self.server.subscribers.of(topic)]
                self.assertLessEqual(sum(unsent), 5 * MAX_MESSAGE_BYTES)
                self.assertIn("3", self.server.subscribers.topics)

        return self.run_in_thread(story)
