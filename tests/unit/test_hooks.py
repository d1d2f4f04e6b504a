"""The user's commands and web hooks, with real processes and a real server on loopback."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from twisted.internet import process, reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from hanoverd import hooks as module
from hanoverd.concurrency.polling import pause
from hanoverd.errors import VersionFailed
from hanoverd.hooks import Hook, Hooks
from hanoverd.model.events import Event, Party, parse_hook

REACTOR: Any = reactor
EVENT = Event(
    "ready", "app", new=Party("app-1", "b1"), old=Party("app-0"), image="app:latest", image_id="sha256:1", reason="why"
)


class Told(Resource):
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
        return b"as told"


class HooksTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "file")

    def hooks(self, *commands: str, urls: tuple[str, ...] = ()) -> Hooks:
        """For the event ``ready``."""
        made = Hooks(REACTOR, dict(os.environ), [Hook("ready", command) for command in commands], urls)
        self.addCleanup(self._close, made)
        return made

    async def _close(self, hooks: Hooks) -> None:
        with mock.patch.object(module, "CLOSES_WITHIN", 0.1):
            await hooks.close()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, "not within time"
            await pause(REACTOR, 0.01)

    async def test_a_command_is_told_all_by_its_environment(self) -> None:
        self.hooks(f"env | grep ^HANOVERD_ | sort > {self.file}.new; mv {self.file}.new {self.file}").tell(EVENT)
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
        hooks = Hooks(REACTOR, dict(os.environ), [Hook("live", f"touch {self.file}")])
        await hooks.ask(EVENT)
        hooks.tell(EVENT)
        await pause(REACTOR, 0.1)
        self.assertFalse(self.file.exists())

    async def test_a_failure_is_a_veto_where_it_is_asked_for(self) -> None:
        await self.hooks("true").ask(EVENT)
        with self.assertRaisesRegex(
            VersionFailed, "app-1 failed: the hook 'exit 3' is against it: it ended with exit status 3"
        ):
            await self.hooks("true", "exit 3").ask(EVENT)

    async def test_one_that_takes_too_long_is_ended(self) -> None:
        with (
            mock.patch.object(module, "HOOK_WITHIN", 0.2),
            self.assertRaisesRegex(VersionFailed, "was not done within 200ms, and was ended"),
        ):
            await self.hooks("sleep 60").ask(EVENT)

    async def test_a_cancel_ends_it(self) -> None:
        asking = Deferred.fromCoroutine(self.hooks(f"touch {self.file}; sleep 60 & wait").ask(EVENT))
        await self.until(self.file.exists)
        asking.cancel()
        with self.assertRaises(CancelledError):
            await asking
        self.assertEqual(process.reapProcessHandlers, {})

    async def test_closing_waits_a_moment_and_ends_those_that_are_still_under_way(self) -> None:
        hooks = self.hooks(f"touch {self.file}; sleep 60", f"sleep 0.3; echo done > {self.file}.too")
        hooks.tell(EVENT)
        await self.until(self.file.exists)
        with mock.patch.object(module, "CLOSES_WITHIN", 1.0):
            await hooks.close()
        self.assertEqual(process.reapProcessHandlers, {})
        self.assertEqual(Path(f"{self.file}.too").read_text(), "done\n")

    def serve(self, *statuses: int) -> tuple[Told, str]:
        """A web hook, and its URL."""
        told = Told(*statuses)
        listening = REACTOR.listenTCP(0, Site(told), interface="127.0.0.1")
        self.addCleanup(lambda: Deferred.fromCoroutine(_stopped(listening)))
        return told, f"http://127.0.0.1:{listening.getHost().port}/secret"

    async def test_a_web_hook_is_told_as_json(self) -> None:
        told, url = self.serve(200)
        await self.hooks(urls=(url,)).ask(EVENT)
        await self.until(lambda: told.bodies)
        self.assertEqual(
            json.loads(told.bodies[0]),
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
        with mock.patch.object(module, "FIRST_WAIT", 0.01), mock.patch.object(module, "LONGEST_WAIT", 0.02):
            told, url = self.serve(500, 503, 204)
            self.hooks(urls=(url,)).tell(EVENT)
            await self.until(lambda: len(told.bodies) == 3)
            told, url = self.serve(500)
            hooks = self.hooks(urls=(url,))
            hooks.tell(EVENT)
            await self.until(lambda: not hooks._tellings)
            self.assertEqual(len(told.bodies), module.TRIES)

    async def test_an_address_that_does_not_answer_fills_no_memory(self) -> None:
        hooks = self.hooks("sleep 60")
        with mock.patch.object(module, "MOST_UNDER_WAY", 2):
            for _ in range(5):
                hooks.tell(EVENT)
        self.assertEqual(len(hooks._tellings), 2)


async def _stopped(listening: Any) -> None:
    await listening.stopListening()
    await pause(REACTOR, 0.05)


@pytest.mark.parametrize("text", ["live", "live=", "live= ", "born=x", "=x", ""])
def test_what_is_no_hook(text: str) -> None:
    with pytest.raises(ValueError, match="write EVENT=COMMAND"):
        parse_hook(text)
