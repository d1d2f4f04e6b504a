"""The user's commands and webhooks, with real processes and a real server on loopback."""

from __future__ import annotations

import hashlib
import hmac
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
from twisted.logger import LogEvent, Logger, LogLevel, capturedLogs, eventAsText
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hanoverd.logs.formats import as_json
from hanoverd.notify.hook_command import LIMIT
from hanoverd.notify.hooks import HookLimits, Hooks
from hanoverd.runtime.backoff import Backoff
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import VersionFailed
from hanoverd.spec.events import LIFECYCLE, LONGEST_REASON, Event, VersionReference
from hanoverd.spec.notifications import SLACK, Hook, NotificationSpec, parse_hook

REACTOR: Any = reactor
log = Logger()

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


LIVE = replace(EVENT, kind="live")


def logged_as(event: Event) -> LogEvent:
    """What is logged when something happens that hooks are notified of."""
    return {LIFECYCLE: event}


class Receiver(Resource):
    """Remembers what is posted; answers with the statuses it is given, the last one for ever."""

    isLeaf = True  # noqa: N815

    def __init__(self, *statuses: int) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.bodies: list[bytes] = []
        self.signatures: list[str | None] = []

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        self.bodies.append(request.content.read())
        self.signatures.append(request.getHeader("X-Hanoverd-Signature-256"))
        request.setResponseCode(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        return b"as requested"


class HooksTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "file")

    def hooks(self, *commands: str, urls: tuple[str, ...] = (), limits: HookLimits = QUICK) -> Hooks:
        """For the events ``ready`` and ``live``."""
        spec = NotificationSpec(tuple(Hook(kind, command) for kind in ("ready", "live") for command in commands), urls)
        made = Hooks(REACTOR, dict(os.environ), spec, limits)
        self.addCleanup(lambda: Deferred.fromCoroutine(made.close()))
        return made

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)

    async def test_a_command_is_told_all_by_its_environment(self) -> None:
        self.hooks(f"env | grep ^HANOVERD_ | sort > {self.file}.new; mv {self.file}.new {self.file}")(logged_as(LIVE))
        await self.until(self.file.exists)
        self.assertEqual(
            self.file.read_text().splitlines(),
            [
                "HANOVERD_APP=app",
                "HANOVERD_EVENT=live",
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
        hooks = Hooks(REACTOR, dict(os.environ), NotificationSpec((Hook("failed", f"touch {self.file}"),)))
        await hooks.require_approval(EVENT)
        hooks(logged_as(LIVE))
        hooks({"event": "failed"})
        await sleep(REACTOR, 0.1)
        self.assertFalse(self.file.exists())

    async def test_it_reports_what_is_logged_from_its_start_until_it_is_closed(self) -> None:
        receiver, url = self.serve(200)
        hooks = self.hooks(f"echo $HANOVERD_EVENT >> {self.file}", urls=(url,))
        log.info("web: early", lifecycle=LIVE)
        hooks.start()
        log.info("web: ready", lifecycle=EVENT)
        log.info("web: paused", event="paused")
        log.info("web: live", lifecycle=LIVE)
        await self.until(lambda: self.file.exists() and len(receiver.bodies) == 2)
        await hooks.close()
        log.info("web: late", lifecycle=LIVE)
        await sleep(REACTOR, 0.05)
        self.assertEqual(sorted(json.loads(body)["event"] for body in receiver.bodies), ["live", "ready"])
        # Those for a version that is ready are the handover's to run.
        self.assertEqual(self.file.read_text(), "live\n")

    async def test_a_failure_is_a_veto_where_it_is_asked_for(self) -> None:
        await self.hooks("true").require_approval(EVENT)
        with self.assertRaisesRegex(VersionFailed, r"the hook ready \(2 of 2\) rejected the version: exit status 3"):
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
        hooks(logged_as(LIVE))
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
        self.hooks(urls=(url,))(logged_as(EVENT))
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

    async def test_a_post_is_signed_with_the_secret(self) -> None:
        receiver, url = self.serve(500, 200)
        spec = NotificationSpec(urls=(url,), secret="k\udcff")
        hooks = Hooks(REACTOR, {}, spec, replace(QUICK, backoff=Backoff(first=0.01, longest=0.02)))
        with capturedLogs() as logged:
            hooks(logged_as(replace(EVENT, reason="ünready")))
            await self.until(lambda: len(receiver.bodies) == 2)
            await hooks.close()
        for body, signature in zip(receiver.bodies, receiver.signatures, strict=True):
            self.assertEqual(signature, f"sha256={hmac.new(b'k' + bytes([255]), body, hashlib.sha256).hexdigest()}")
        self.assertNotIn("secret", repr(spec))
        self.assertFalse([event for event in logged if "sha256=" in as_json(event)])

    async def test_without_a_secret_there_is_no_signature(self) -> None:
        receiver, url = self.serve(200)
        self.hooks(urls=(url,))(logged_as(LIVE))
        await self.until(lambda: receiver.bodies)
        self.assertEqual(receiver.signatures, [None])

    async def test_a_post_for_slack_is_a_message(self) -> None:
        receiver, url = self.serve(200)
        hooks = Hooks(REACTOR, {}, NotificationSpec(urls=(url,), format=SLACK, secret="key"), QUICK)
        hooks(logged_as(replace(LIVE, reason="")))
        await self.until(lambda: receiver.bodies)
        await hooks.close()
        self.assertEqual(json.loads(receiver.bodies[0]), {"text": "app-1: live (app:latest), in the place of app-0"})
        self.assertEqual(len(receiver.signatures[0] or ""), 71)

    async def test_it_is_tried_again_and_given_up_in_the_end(self) -> None:
        limits = replace(QUICK, backoff=Backoff(first=0.01, longest=0.02), attempts=4)
        receiver, url = self.serve(500, 503, 204)
        self.hooks(urls=(url,), limits=limits)(logged_as(LIVE))
        await self.until(lambda: len(receiver.bodies) == 3)
        receiver, url = self.serve(500)
        hooks = self.hooks(urls=(url,), limits=limits)
        hooks(logged_as(LIVE))
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
        hooks(logged_as(LIVE))
        hooks(logged_as(LIVE))
        started = time.monotonic()
        with capturedLogs() as logged:
            await hooks.close()
        self.assertLess(time.monotonic() - started, 30)
        dropped = [event for event in logged if event.get("event") == "notify_dropped"]
        [line] = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in dropped]
        self.assertEqual(line, f"notify: 2 notifications not delivered to {url.rpartition('/')[0]}/…: hanoverd stops")
        self.assertEqual(dropped[0]["log_level"], LogLevel.warn)

    async def test_the_end_says_nothing_of_what_was_delivered(self) -> None:
        told, url = self.serve(204)
        hooks = self.hooks(urls=(url, self.silent()), limits=replace(QUICK, close_timeout=0.3))
        hooks(logged_as(LIVE))
        await self.until(lambda: told.bodies)
        with capturedLogs() as logged:
            await hooks.close()
        self.assertEqual([event["count"] for event in logged if event.get("event") == "notify_dropped"], [1])

    async def test_commands_that_are_killed_at_the_end_are_logged(self) -> None:
        hooks = self.hooks("sleep 60", limits=replace(QUICK, close_timeout=0.1))
        hooks(logged_as(LIVE))
        with capturedLogs() as logged:
            await hooks.close()
        self.assertEqual([event["count"] for event in logged if event.get("event") == "hooks_killed"], [1])

    async def test_an_address_that_does_not_answer_fills_no_memory_and_keeps_no_command_from_running(self) -> None:
        hooks = self.hooks(f"touch {self.file}", urls=(self.silent(),), limits=replace(QUICK, requests=2))
        for _ in range(5):
            hooks(logged_as(Event("obtained", "app")))
        self.assertEqual(len(hooks._requests), 2)
        hooks(logged_as(LIVE))
        await self.until(self.file.exists)

    async def test_commands_that_take_their_time_fill_no_memory_and_keep_no_web_hook_from_being_called(self) -> None:
        receiver, url = self.serve(200)
        hooks = self.hooks("sleep 60", urls=(url,), limits=replace(QUICK, commands=2))
        for _ in range(5):
            hooks(logged_as(LIVE))
        self.assertEqual(len(hooks._commands), 2)
        await self.until(lambda: len(receiver.bodies) == 5)

    async def test_a_value_that_no_environment_can_hold_keeps_no_command_from_running(self) -> None:
        hooks = self.hooks(f'printf %s "$HANOVERD_REASON" > {self.file}')
        await hooks.require_approval(replace(EVENT, reason="core dumped\0 at 7\udc80\x1b[2J"))
        self.assertEqual(self.file.read_text(), r"core dumped\x00 at 7\udc80\x1b[2J")
        huge = "x" * 1_000_000
        await hooks.require_approval(
            Event("ready", huge, VersionReference(huge, huge), VersionReference(huge, huge), huge, huge, huge)
        )
        self.assertEqual(len(self.file.read_bytes()), LONGEST_REASON)

    async def test_a_web_hook_gets_text_that_every_receiver_takes(self) -> None:
        receiver, url = self.serve(200)
        huge = "ü\0\udc80\u2028" * 200_000
        reference = VersionReference(huge, huge)
        self.hooks(urls=(url,))(logged_as(Event("ready", huge, reference, reference, huge, huge, huge)))
        await self.until(lambda: receiver.bodies)
        self.assertLess(len(receiver.bodies[0]), 100_000)
        reason = json.loads(receiver.bodies[0])["reason"]
        self.assertEqual(reason[:20], r"ü\x00\udc80\u2028ü\x")
        self.assertTrue(reason.endswith(r"ü\x00\udc80\u2028"))

    async def test_a_hook_that_prints_too_much_is_logged_in_part(self) -> None:
        hooks = self.hooks("yes | head -n 50000; head -c 300k /dev/zero; printf '\\nthe end\\n'")
        with capturedLogs() as logged:
            await hooks.require_approval(EVENT)
        lines = [event["line"] for event in logged if event.get("event") == "hook_output"]
        self.assertLess(len(lines), 2 * LIMIT.lines_at_once)
        self.assertGreaterEqual(len(lines), LIMIT.lines_at_once)
        [dropped] = [event for event in logged if event.get("event") == "hook_output_dropped"]
        # 19 parts of the line without an end.
        self.assertEqual(len(lines) + dropped["count"], 50_000 + 19 + 1)

    async def test_a_hook_that_prints_without_end_is_killed_in_time(self) -> None:
        hooks = self.hooks("yes", limits=HookLimits(command_timeout=0.5))
        begun = time.monotonic()
        with self.assertRaisesRegex(
            VersionFailed, "the hook ready rejected the version: killed: it did not end within 500ms"
        ):
            await hooks.require_approval(EVENT)
        self.assertLess(time.monotonic() - begun, 30)

    async def test_no_message_has_the_command_which_may_hold_a_secret(self) -> None:
        hooks = self.hooks("exit 3 # T0KEN", "exit 4 # T0KEN", "sleep 60 # T0KEN", limits=replace(QUICK, commands=2))
        with capturedLogs() as logged:
            hooks(logged_as(LIVE))
            await self.until(lambda: len(hooks._commands) == 0)
            with self.assertRaises(VersionFailed) as caught:
                await hooks.require_approval(EVENT)
        shown = [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
        self.assertEqual(str(caught.exception), "the hook ready (1 of 3) rejected the version: exit status 3")
        self.assertIn("hook live (3 of 3): not run: 2 commands are still running", shown)
        self.assertIn("hook live (2 of 3): failed: exit status 4", shown)
        self.assertFalse([event for event in logged if "T0KEN" in as_json(event)])
        self.assertNotIn("T0KEN", repr(NotificationSpec((Hook("ready", "T0KEN"),), ("https://h/T0KEN",))))

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
