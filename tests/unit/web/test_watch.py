"""All apps are followed; one daemon that hangs, floods or lies spoils nothing but its own app."""

from __future__ import annotations

import os
import socket
import time
import tracemalloc
from dataclasses import replace
from functools import partial
from operator import methodcaller
from pathlib import Path

from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from hanoverd.daemons import answers as answers_module
from hanoverd.daemons.unix_connection import Untrusted, open_connection
from hanoverd.runtime.clock import sleep
from hanoverd.web import daemons, following, watch
from tests.unit.web.daemon import REACTOR, DaemonsCase

log = Logger()

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class WatchTests(DaemonsCase):
    """With real control servers."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(watch, "SEARCH_INTERVAL", 0.1)

    async def test_apps_are_found_and_their_changes_follow_the_events(self) -> None:
        web, _ = self.serve("web")
        changed: list[str] = []
        self.watcher.subscribers.add(changed.append)
        self.watcher.start()
        await self.until(lambda: self.state("web") == "live" and self.watcher.app("web").handovers)  # type: ignore[union-attr]
        self.serve("shop")
        await self.until(lambda: self.state("shop"))
        self.assertEqual([one.app for one in self.watcher.host.apps], ["shop", "web"])
        del changed[:]
        await self.until(lambda: self.is_followed("web"))
        begun = time.monotonic()
        web.current = replace(web.current, state="handing over")
        log.info("web: handover 2", event="trigger", app="web")
        await self.until(lambda: self.state("web") == "handing over")
        self.assertLess(time.monotonic() - begun, 2)
        self.assertIn("web", changed)

    async def test_a_change_a_moment_after_its_event_is_seen(self) -> None:
        web, _ = self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.is_followed("web"))
        await sleep(REACTOR, 2 * following.SECOND_LOOK)
        log.info("web-1: live", event="live", version="web-1")
        await self.until(lambda: web.asked[-1] == "status")
        web.current = replace(web.current, state="down")
        await self.until(lambda: self.state("web") == "down")

    async def test_a_storm_of_events_is_few_requests(self) -> None:
        web, _ = self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.is_followed("web"))
        del web.asked[:]
        begun = time.monotonic()
        while time.monotonic() - begun < 1.5:
            log.info("web: repaired", event="repaired")
            await sleep(REACTOR, 0.001)
        self.assertGreater(len(web.asked), 1)
        self.assertLess(len(web.asked), 8)

    async def test_an_app_whose_daemon_was_killed_is_shown_so_until_it_is_back(self) -> None:
        _, kill = self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.state("web") == "live")
        await kill()
        await self.until(lambda: "no hanoverd serves web now" in self.problem("web"))
        self.assertEqual(self.state("web"), "live")
        self.serve("web")
        await self.until(lambda: self.problem("web") == "")

    async def test_an_app_that_was_stopped_goes(self) -> None:
        _, close = self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.is_followed("web"))
        log.info("web: stopping", event="stopping", app="web")
        await close()
        await self.until(lambda: self.watcher.app("web") is None)

    async def test_an_app_that_its_daemon_leaves_serving_stays(self) -> None:
        _, close = self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.is_followed("web"))
        log.info("web: stopping", event="stopping", app="web")
        log.info("web-1: keeps serving", event="left_running", app="web")
        await close()
        await self.until(lambda: self.problem("web"))
        await sleep(REACTOR, 0.3)
        self.assertIsNotNone(self.watcher.app("web"))

    async def test_a_socket_of_a_killed_daemon_is_removed_and_is_no_app(self) -> None:
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(self.folder / "old.sock"))
        self.watcher.start()
        await self.until(lambda: not (self.folder / "old.sock").exists())
        self.assertEqual(self.watcher.host.apps, ())

    async def test_a_folder_that_other_users_can_change_is_a_problem_that_is_shown(self) -> None:
        self.serve("web")
        os.chmod(self.folder, 0o777)
        self.watcher.start()
        await self.until(lambda: self.watcher.host.problems)
        self.assertIn("another user could answer", self.watcher.host.problems[0])
        self.assertEqual(self.watcher.host.apps, ())

    async def test_it_stops_at_once_also_while_daemons_hang(self) -> None:
        self.answer("hung", lambda peer: peer.recv(1))
        self.serve("web")
        self.watcher.start()
        await self.until(lambda: self.state("web") and self.watcher.app("hung") is not None)
        begun = time.monotonic()
        await self.watcher.stop()
        self.assertLess(time.monotonic() - begun, 1)


class HostileTests(DaemonsCase):
    """One bad daemon beside a good one."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(watch, "SEARCH_INTERVAL", 0.1)
        self.patch(following, "RETRY_INTERVAL", 0.2)

    async def with_good_one(self, problem: str) -> None:
        """Wait for the problem of the bad one; the good one must be followed meanwhile."""
        good, _ = self.serve("good")
        self.watcher.start()
        await self.until(lambda: problem in self.problem("bad"))
        await self.until(lambda: self.is_followed("good"))
        good.current = replace(good.current, state="down")
        log.info("good: down", event="exited")
        await self.until(lambda: self.state("good") == "down")
        self.assertEqual(self.problem("good"), "")

    async def test_one_that_hangs(self) -> None:
        self.patch(daemons, "ANSWER_TIMEOUT", 0.3)
        self.answer("bad", lambda peer: peer.recv(1))
        await self.with_good_one("it took longer than")

    async def test_one_that_never_ends_its_answer(self) -> None:
        self.patch(daemons, "ANSWER_TIMEOUT", 0.3)

        def drip(peer: socket.socket) -> None:
            peer.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
            while True:
                peer.sendall(b" ")
                time.sleep(0.05)

        self.answer("bad", drip)
        await self.with_good_one("it took longer than")

    async def test_one_that_accepts_no_connections(self) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(self.folder / "bad.sock"))
            server.listen(0)
            used = time.process_time()
            await self.with_good_one("too many clients wait for it already")
            begun, used = time.monotonic(), time.process_time()
            await sleep(REACTOR, 0.5)
            # No loop asks the kernel again and again meanwhile.
            self.assertLess((time.process_time() - used) / (time.monotonic() - begun), 0.5)

    async def test_one_whose_answer_is_too_large(self) -> None:
        self.answer(
            "bad", lambda peer: peer.sendall(HEAD + b"Connection: close\r\n\r\n" + b" " * 2 * following.MOST_STATUS)
        )
        await self.with_good_one("its answer is too large")

    async def test_one_whose_headers_do_not_end(self) -> None:
        self.answer("bad", lambda peer: peer.sendall(HEAD + b"X: y\r\n" * 1_000_000))
        await self.with_good_one("its answer is too large")

    async def test_one_that_answers_something_else(self) -> None:
        for number, (body, problem) in enumerate(
            (
                (b"<html>", "not valid JSON"),
                (b"[" * 100_000, "not valid JSON"),
                (b"[]", "the status is not an object"),
                (b'{"app": "good", "state": "live"}', "the status of another app"),
                (b'{"app": "bad", "live": {"since": "x"}}', "wrong value for since"),
            )
        ):
            app = f"bad{number}"
            whole = HEAD + b"Connection: close\r\n\r\n" + body.replace(b"bad", app.encode())
            self.answer(app, methodcaller("sendall", whole))
            self.watcher.start()
            await self.until(partial(self.has_problem, app, problem))

    async def test_one_that_is_no_http(self) -> None:
        self.answer("bad", lambda peer: peer.sendall(b"SSH-2.0-x\r\n"))
        await self.with_good_one("does not answer")

    async def test_one_that_sends_an_error(self) -> None:
        body = b'{"error": "' + b"x" * 5000 + b'"}'
        self.answer(
            "bad", lambda peer: peer.sendall(b"HTTP/1.1 500 No\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        )
        await self.with_good_one("bad: xxx")
        self.assertLess(len(self.problem("bad")), 2000)

    async def test_one_that_sends_events_without_end(self) -> None:
        status = b'{"app": "bad", "state": "live"}'
        sent = [0]

        def flood(peer: socket.socket) -> None:
            peer.sendall(HEAD + b"Connection: close\r\n\r\nid: 00000000-1-1\n\n")
            while True:
                peer.sendall(b"id: 00000000-1-1\nevent: live\ndata: x\n\n" * 1000)
                sent[0] += 39_000

        def serve(peer: socket.socket) -> None:
            peer.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % len(status) + status)

        # The path is not read: the first connections are for the events and the status, and both are answered either way.
        turns = iter(range(10_000))
        self.answer("bad", lambda peer: flood(peer) if next(turns) % 2 else serve(peer))
        self.watcher.start()
        await self.until(lambda: sent[0] > 1_000_000)
        tracemalloc.start()
        try:
            begun = time.monotonic()
            await self.with_good_one("")
            await sleep(REACTOR, 1)
            passed = time.monotonic() - begun
            self.assertLess(tracemalloc.get_traced_memory()[1], 30_000_000)
        finally:
            tracemalloc.stop()
        streams = next(turns) // 2 + 1
        self.assertLess(sent[0], streams * (passed + 2) * (daemons.MOST_PER_SECOND + 1_000_000))

    async def test_one_that_belongs_to_another_user(self) -> None:
        self.serve("bad")

        def refuse(_app: str, _path: Path) -> None:
            raise PermissionError(13, "Permission denied")

        sockets = self.watcher._sockets
        self.watcher._sockets = type("Refusing", (), {"search": sockets.search, "open": staticmethod(refuse)})()
        self.watcher.start()
        await self.until(lambda: "run `hanoverd web` as that user or as root" in self.problem("bad"))

    async def test_a_mistake_of_ours_is_logged_and_the_app_is_asked_again(self) -> None:
        self.serve("web")
        self.patch(following, "IDLE_INTERVAL", 0.2)
        answers = iter([KeyError("a mistake"), None])

        def status_of(answer: object, app: str) -> dict[str, object]:
            mistake = next(answers, None)
            if mistake is not None:
                raise mistake
            return answers_module.status_of(answer, app)

        self.patch(following, "status_of", status_of)
        self.watcher.start()
        await self.until(lambda: self.state("web") == "live")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(self.problem("web"), "")

    async def test_a_socket_of_another_user_is_not_used(self) -> None:
        self.serve("web")
        path = self.folder / "web.sock"
        with self.assertRaisesRegex(Untrusted, "belongs to uid"):
            await deferToThread(open_connection, path, ())

    async def test_without_free_descriptors_the_next_search_works(self) -> None:
        self.serve("web")

        def fail(_known: frozenset[Path]) -> None:
            raise OSError(24, "Too many open files")

        sockets = self.watcher._sockets
        self.watcher._sockets = type("Broken", (), {"search": staticmethod(fail)})()
        self.watcher.start()
        await sleep(REACTOR, 0.3)
        self.watcher._sockets = sockets
        await self.until(lambda: self.state("web"))
