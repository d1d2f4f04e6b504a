"""The user's commands and webhooks, with real processes and a real server on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import process, reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, capturedLogs, eventAsText
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hanoverd.notify.hooks import HookLimits, Hooks
from hanoverd.runtime.backoff import Backoff
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import VersionFailed
from hanoverd.spec.events import LONGEST_STRING, Event, VersionReference
from hanoverd.spec.notifications import Hook, NotificationSpec, parse_hook

REACTOR: Any = reactor

#: A test does not wait long for what it has left unfinished.
QUICK = HookLimits(close_timeout=0.1)

EVENT = Event(
    "ready",
    "app",
    new=VersionReference("app-1", "b1"),
    old=VersionReference("app-0"),
    image="app:latest",
    image_id="sha256:1",
    reason="why",
)


class Receiver(Resource):
    """Remembers what is posted; answers with the statuses it is given, the last one for ever."""

    isLeaf = True  # noqa: N815

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        self.bodies.append(request.content.read())
        request.setResponseCode(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        return b"as requested"


class HooksTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "file")

    def hooks(self, *commands: str, urls: tuple[str, ...] = (), limits: HookLimits = QUICK) -> Hooks:
        """For the event ``ready``."""
        spec = NotificationSpec(tuple(Hook("ready", command) for command in commands), urls)
        made = Hooks(REACTOR, dict(os.environ), spec, limits)
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)

    async def test_a_command_is_told_all_by_its_environment(self) -> None:
        self.hooks(f"env | grep ^HANOVERD_ | sort > {self.file}.new; mv {self.file}.new {self.file}").notify(EVENT)
        await self.until(self.file.exists)
        self.assertEqual(
            self.file.read_text().splitlines(),
            [
                "HANOVERD_APP=app",
                "HANOVERD_EVENT=ready",
                "HANOVERD_IMAGE=app:latest",
                "HANOVERD_IMAGE_ID=sha256:1",
                "HANOVERD_NEW=app-1",
                "HANOVERD_NEW_ID=b1",
                "HANOVERD_OLD=app-0",
                "HANOVERD_OLD_ID=",
                "HANOVERD_REASON=why",
            ],
        )

    async def test_only_those_for_the_event_are_run(self) -> None:
        hooks = Hooks(REACTOR, dict(os.environ), NotificationSpec((Hook("live", f"touch {self.file}"),)))
        await hooks.require_approval(EVENT)
        hooks.notify(EVENT)
        await sleep(REACTOR, 0.1)
        self.assertFalse(self.file.exists())

    async def test_a_failure_is_a_veto_where_it_is_asked_for(self) -> None:
        await self.hooks("true").require_approval(EVENT)
        with self.assertRaisesRegex(VersionFailed, "the hook 'exit 3' rejected the version: exit status 3"):
            await self.hooks("true", "exit 3").require_approval(EVENT)

    async def test_one_that_takes_too_long_is_ended(self) -> None:
        hooks = self.hooks("sleep 60", limits=HookLimits(command_timeout=0.2))
        with self.assertRaisesRegex(VersionFailed, "killed: it did not end within 200ms"):
            await hooks.require_approval(EVENT)

    async def test_a_cancel_ends_it(self) -> None:
        asking = Deferred.fromCoroutine(self.hooks(f"touch {self.file}; sleep 60 & wait").require_approval(EVENT))
        await self.until(self.file.exists)
        asking.cancel()
        with self.assertRaises(CancelledError):
            await asking
        self.assertEqual(process.reapProcessHandlers, {})

    async def test_closing_waits_a_moment_and_ends_those_that_are_still_under_way(self) -> None:
        commands = (f"touch {self.file}; sleep 60", f"sleep 0.3; echo done > {self.file}.too")
        hooks = self.hooks(*commands, limits=HookLimits(close_timeout=1.0))
        hooks.notify(EVENT)
        await self.until(self.file.exists)
        await hooks.close()
        self.assertEqual(process.reapProcessHandlers, {})
        self.assertEqual(Path(f"{self.file}.too").read_text(), "done\n")

    def serve(self, *statuses: int) -> tuple[Receiver, str]:
        """A webhook, and its URL."""
        receiver = Receiver(*statuses)
        listening = REACTOR.listenTCP(0, Site(receiver), interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(_stopped(listening)))
        return receiver, f"http://127.0.0.1:{listening.getHost().port}/secret"

    async def test_a_web_hook_is_told_as_json(self) -> None:
        receiver, url = self.serve(200)
        await self.hooks(urls=(url,)).require_approval(EVENT)
        await self.until(lambda: receiver.bodies)
        self.assertEqual(
            json.loads(receiver.bodies[0]),
            {
                "event": "ready",
                "app": "app",
                "new": "app-1",
                "new_id": "b1",
                "old": "app-0",
                "old_id": "",
                "image": "app:latest",
                "image_id": "sha256:1",
                "reason": "why",
            },
        )

    async def test_it_is_tried_again_and_given_up_in_the_end(self) -> None:
        limits = replace(QUICK, backoff=Backoff(first=0.01, longest=0.02), attempts=4)
        receiver, url = self.serve(500, 503, 204)
        self.hooks(urls=(url,), limits=limits).notify(EVENT)
        await self.until(lambda: len(receiver.bodies) == 3)
        receiver, url = self.serve(500)
        hooks = self.hooks(urls=(url,), limits=limits)
        hooks.notify(EVENT)
        await self.until(lambda: not hooks._requests)
        self.assertEqual(len(receiver.bodies), 4)

    def silent(self) -> str:
        """The URL of a server that takes connections and never answers."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        return f"http://127.0.0.1:{server.getsockname()[1]}/secret"

    async def test_the_end_is_not_delayed_by_a_dead_webhook_and_says_what_was_not_delivered(self) -> None:
        url = self.silent()
        hooks = self.hooks(urls=(url,), limits=replace(QUICK, close_timeout=0.1))
        hooks.notify(EVENT)
        hooks.notify(EVENT)
        started = time.monotonic()
        with capturedLogs() as logged:
            await hooks.close()
        self.assertLess(time.monotonic() - started, 2)
        dropped = [event for event in logged if event.get("event") == "notify_dropped"]
        [line] = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in dropped]
        self.assertEqual(line, f"notify: 2 notifications not delivered to {url.rpartition('/')[0]}/…: hanoverd stops")
        self.assertEqual(dropped[0]["log_level"], LogLevel.warn)

    async def test_the_end_says_nothing_of_what_was_delivered(self) -> None:
        told, url = self.serve(204)
        hooks = self.hooks(urls=(url, self.silent()), limits=replace(QUICK, close_timeout=0.3))
        hooks.notify(EVENT)
        await self.until(lambda: told.bodies)
        with capturedLogs() as logged:
            await hooks.close()
        self.assertEqual([event["count"] for event in logged if event.get("event") == "notify_dropped"], [1])

    async def test_commands_that_are_killed_at_the_end_are_logged(self) -> None:
        hooks = self.hooks("sleep 60", limits=replace(QUICK, close_timeout=0.1))
        hooks.notify(EVENT)
        with capturedLogs() as logged:
            await hooks.close()
        self.assertEqual([event["count"] for event in logged if event.get("event") == "hooks_killed"], [1])

    async def test_an_address_that_does_not_answer_fills_no_memory_and_keeps_no_command_from_running(self) -> None:
        hooks = self.hooks(f"touch {self.file}", urls=(self.silent(),), limits=replace(QUICK, requests=2))
        for _ in range(5):
            hooks.notify(Event("obtained", "app"))
        self.assertEqual(len(hooks._requests), 2)
        hooks.notify(EVENT)
        await self.until(self.file.exists)

    async def test_commands_that_take_their_time_fill_no_memory_and_keep_no_web_hook_from_being_called(self) -> None:
        receiver, url = self.serve(200)
        hooks = self.hooks("sleep 60", urls=(url,), limits=replace(QUICK, commands=2))
        for _ in range(5):
            hooks.notify(EVENT)
        self.assertEqual(len(hooks._commands), 2)
        await self.until(lambda: len(receiver.bodies) == 5)

    async def test_a_reason_that_no_environment_can_hold_keeps_no_command_from_running(self) -> None:
        hooks = self.hooks(f'printf %s "$HANOVERD_REASON" > {self.file}')
        await hooks.require_approval(replace(EVENT, reason="core dumped\0 at 7"))
        self.assertEqual(self.file.read_text(), "core dumped\N{REPLACEMENT CHARACTER} at 7")
        await hooks.require_approval(replace(EVENT, reason="ü" * 200_000))
        reason = self.file.read_text()
        self.assertTrue(reason.startswith("ü" * 60_000))
        self.assertTrue(reason.endswith("ü … (cut: too long for an environment variable)"))
        self.assertGreater(len(f"HANOVERD_REASON={reason}\0".encode()), LONGEST_STRING - 2)

    async def test_a_web_hook_gets_the_whole_reason(self) -> None:
        receiver, url = self.serve(200)
        self.hooks(urls=(url,)).notify(replace(EVENT, reason="ü\0" * 200_000))
        await self.until(lambda: receiver.bodies)
        self.assertEqual(json.loads(receiver.bodies[0])["reason"], "ü\0" * 200_000)

    async def test_a_command_may_leave_a_process_behind(self) -> None:
        begun = time.monotonic()
        await self.hooks(
            f"sleep 60 & echo $! > {self.file}", f"setsid sleep 60 & echo $! >> {self.file}"
        ).require_approval(EVENT)
        self.assertLess(time.monotonic() - begun, 10)
        for pid in self.file.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


async def _stopped(listening: Any) -> None:
    await listening.stopListening()
    await sleep(REACTOR, 0.05)


@pytest.mark.parametrize("text", ["live", "live=", "live= ", "born=x", "=x", ""])
def test_what_is_no_hook(text: str) -> None:
    with pytest.raises(ValueError, match="write EVENT=COMMAND"):
        parse_hook(text)
