"""What a hookbot makes of messages, and of connections that were lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hanoverd.hookbot.trigger import HookbotTrigger
from hanoverd.spec.hookbot import HookbotURL, Subscription

HEAD, PUSHED = "1" * 40, "2" * 40


class Source:
    """Knows the head of the default branch."""

    def describe(self) -> str:
        return "git"

    async def newest(self) -> str:
        return HEAD


class TriggerTarget:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str | None]] = []

    def trigger(self, _reason: str, revision: str | None) -> None:
        self.events.append(("trigger", revision))

    def newest_found(self, newest: str) -> None:
        self.events.append(("found", newest))


class HookbotTriggerTests(SynchronousTestCase):
    def follow(self, topic: str) -> list[tuple[str, str | None]]:
        """Follow ``topic``, connected for the first time; returns what the triggers are asked for from now on."""
        triggers = TriggerTarget()

        async def connect(on_open: Callable[[], object], on_message: Callable[[bytes], object], _: Any, /) -> str:
            self.connected, self.receive = on_open, on_message
            return await Deferred()

        subscription = Subscription.of(HookbotURL.parse(f"ws://host/sub/{topic}"))
        hookbot = HookbotTrigger(Clock(), subscription, connect, Source(), triggers)  # type: ignore[arg-type]  # enough
        hookbot.start()
        self.addCleanup(lambda: self.successResultOf(Deferred.fromCoroutine(hookbot.stop())))
        self.connected()
        return triggers.events

    def push(self, branch: str, *, recursive: bool) -> None:
        """Someone pushes to ``branch``."""
        body = json.dumps({"Type": "push", "Repo": "me/app", "Branch": branch, "SHA": PUSHED, "Who": "me"}).encode()
        self.receive(f"github.com/repo/me/app/branch/{branch}\0".encode() + body if recursive else body)

    def test_a_reconnect_asks_the_source_what_was_missed(self) -> None:
        events = self.follow("github.com/repo/me/app/branch/main")
        self.push("main", recursive=False)
        self.connected()
        self.assertEqual(events, [("found", HEAD), ("trigger", PUSHED), ("found", HEAD)])

    def test_where_all_branches_are_followed_a_reconnect_does_not_go_back_to_the_default_branch(self) -> None:
        events = self.follow("github.com/repo/me/app/branch/")
        self.push("feature", recursive=True)
        self.connected()
        self.assertEqual(events, [("found", HEAD), ("trigger", PUSHED)])

    def test_until_a_push_is_followed_the_default_branch_is_the_one(self) -> None:
        events = self.follow("github.com/repo/me/app/branch/")
        self.connected()
        self.assertEqual(events, [("found", HEAD)] * 2)
