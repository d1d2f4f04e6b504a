"""GitHub's webhooks at the hookbot server, also copies of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from tests.unit.hookbot.observing import logged
from tests.unit.hookbot.serving import SECRET, UNSAFE, ServerTestCase, basic

HOOK = "/unsafe/pub/github.com/me?extra-metadata=github"
BRANCH = "/sub/github.com/repo/me/app/branch/main"
A, B, C = ("a" * 40, "b" * 40, "c" * 40)


class WebhookTests(ServerTestCase):
    def payload(self, after: str, before: str = A, age: float = 0, **changed: Any) -> bytes:
        """What GitHub reports of a push that is ``age`` seconds old."""
        push = {
            "ref": "refs/heads/main",
            "before": before,
            "after": after,
            "repository": {"full_name": "me/app", "pushed_at": int(self.now - age)},
            "pusher": {"name": "someone"},
        }
        return json.dumps({**push, **changed}).encode()

    def deliver(
        self,
        payload: bytes,
        *,
        secret: str = SECRET,
        name: str = "X-Hub-Signature-256",
        event: str = "push",
        delivery: str = "d",
        path: str = HOOK,
    ) -> tuple[int, str]:
        """Post what GitHub would; return the status and the reason."""
        algorithm = "sha256" if name.endswith("256") else "sha1"
        signature = f"{algorithm}=" + hmac.new(secret.encode(), payload, algorithm).hexdigest()
        headers = {name: signature, "X-GitHub-Event": event, "X-GitHub-Delivery": delivery}
        status, body = self.post(path, payload, {**headers, "Content-Type": "application/json"})
        return status, body.decode()

    def assert_silent(self, listener: ClientConnection) -> None:
        """Nothing has arrived: the next message is the first."""
        self.post(BRANCH.replace("/sub/", "/pub/"), b"the next")
        self.assertEqual(listener.recv(5), b"the next")

    def test_a_push_is_published_for_its_branch_and_the_webhook_itself_is_not(self) -> Deferred[None]:
        def story() -> None:
            branch, every = self.listen(BRANCH), self.listen("/unsafe/sub/", UNSAFE)
            for number, name in enumerate(("X-Hub-Signature", "X-Hub-Signature-256")):
                self.now += 1
                self.assertEqual(self.deliver(self.payload(str(number) * 40), name=name), (200, "OK\n"))
                push = {"Type": "push", "Repo": "me/app", "Branch": "main", "SHA": str(number) * 40, "Who": "someone"}
                self.assertEqual(json.loads(branch.recv(5)), push)
            self.post("/unsafe/pub/x", b"the next", {})
            self.assertEqual(every.recv(5), b"/unsafe/x\0the next")
            with pytest.raises(InvalidStatus) as refused:
                self.listen("/unsafe/sub/github.com/", UNSAFE)
            self.assertEqual(refused.value.response.status_code, 403)

        return self.run_in_thread(story)

    def test_a_webhook_that_is_sent_again_is_refused(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen(BRANCH)
            first, second = self.payload(B, age=10), self.payload(C, before=B)
            for payload, commit in ((first, B), (second, C)):
                self.assertEqual(self.deliver(payload)[0], 200)
                self.assertIn(commit, str(branch.recv(5)))
            for payload in (first, second):
                # The ID of the delivery is not signed.
                status, reason = self.deliver(payload, delivery="another")
                self.assertEqual(status, 409)
                self.assertIn("it was delivered before", reason)
            self.assert_silent(branch)

        return self.run_in_thread(story)

    def test_a_push_that_was_overtaken_is_refused(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen(BRANCH)
            self.assertEqual(self.deliver(self.payload(C, before=B))[0], 200)
            self.assertIn(C, str(branch.recv(5)))
            status, reason = self.deliver(self.payload(B, age=10))
            self.assertEqual(status, 409)
            self.assertIn(f"before {C[:12]}, which was pushed to the same branch", reason)
            self.assert_silent(branch)

        return self.run_in_thread(story)

    def test_a_webhook_from_before_the_start_is_refused(self) -> Deferred[None]:
        def story() -> None:
            old = self.payload(B, age=3700)
            status, reason = self.deliver(old)
            self.assertEqual(status, 409)
            self.assertIn("before this hookbot was started", reason)
            # It was down for a moment, or the delivery took a while.
            self.assertEqual(self.deliver(self.payload(B, age=3000))[0], 200)

        return self.run_in_thread(story)

    def test_what_is_refused_has_a_reason_that_github_shows(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen(BRANCH)
            good = self.payload(B)
            form = b"payload=%7B%7D"
            for (status, reason), wanted, words in (
                (self.deliver(good, secret="another"), 403, "does not match HOOKBOT_GITHUB_SECRET"),
                (self.deliver(good, secret="another", name="X-Hub-Signature"), 403, "does not match"),
                (self.deliver(good, name="X-Nothing"), 403, "it has no signature"),
                (self.deliver(form), 400, "has to be application/json"),
                (self.deliver(b"{}"), 400, "it has no ref"),
                (self.deliver(b"[" * 100_000), 400, "it is not a push of GitHub"),
                (self.deliver(self.payload(B, repository={"full_name": "me/app"})), 400, "it has no pushed_at"),
                (self.deliver(good, path="/unsafe/pub/github.com/"), 400, "add ?extra-metadata=github"),
                (self.deliver(good, path="/unsafe/pub/github.com/?extra-metadata=x"), 400, "bad ?extra-metadata="),
            ):
                self.assertEqual(status, wanted, reason)
                self.assertIn(words, reason)
            self.assert_silent(branch)

        return self.run_in_thread(story)

    def test_refused_webhooks_do_not_fill_the_log(self) -> Deferred[None]:
        events = self.connections.enter_context(logged())

        def story() -> None:
            for _ in range(50):
                self.assertEqual(self.deliver(b"{}", secret="another")[0], 403)
            self.assertEqual(len([event for event in events if event.get("event") == "webhook_dropped"]), 20)

        return self.run_in_thread(story)

    def test_what_is_no_push_to_a_branch_is_ignored(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen(BRANCH)
            for answer in (
                self.deliver(b"{}", event="ping"),
                self.deliver(self.payload(B), event="issues"),
                self.deliver(self.payload(B, ref="refs/tags/main")),
            ):
                self.assertEqual(answer, (200, "OK: ignored, because it is not a push to a branch\n"))
            self.assert_silent(branch)

        return self.run_in_thread(story)

    def test_branches_of_any_characters_reach_their_listeners(self) -> Deferred[None]:
        def story() -> None:
            for name, encoded in (
                ("feature#1", "feature%231"),
                ("100%", "100%25"),
                ("a;b", "a%3Bb"),
                ("größe", "gr%C3%B6%C3%9Fe"),
            ):
                path = f"/sub/github.com/repo/me/app/branch/{name}"
                listener = self.listen(path.replace(name, encoded), basic(path))
                self.assertEqual(self.deliver(self.payload(B, ref=f"refs/heads/{name}"))[0], 200)
                self.assertEqual(json.loads(listener.recv(5))["Branch"], name)

        return self.run_in_thread(story)

    def test_without_a_router_a_webhook_is_published_with_its_headers(self) -> Deferred[None]:
        self.serve(secret=None)

        def story() -> None:
            every = self.listen("/unsafe/sub/github.com/", UNSAFE)
            payload = self.payload(B)
            self.assertEqual(self.deliver(payload), (200, "OK\n"))
            topic, _, body = every.recv(5, decode=False).partition(b"\0")
            self.assertEqual(topic, b"/unsafe/github.com/me")
            wrapped = json.loads(body)
            self.assertEqual((wrapped["Event"], wrapped["Delivery"]), ("push", "d"))
            self.assertEqual(base64.b64decode(wrapped["Payload"]), payload)
            signature = hmac.new(SECRET.encode(), payload, hashlib.sha256).hexdigest()
            self.assertEqual(wrapped["Signature256"], f"sha256={signature}")
            # Listeners accept no larger message.
            self.assertEqual(self.deliver(bytes(MAX_MESSAGE_BYTES))[0], 413)

        return self.run_in_thread(story)

    def test_a_webhook_may_be_larger_than_a_message(self) -> Deferred[None]:
        self.serve(ServerLimits(webhook=3 * MAX_MESSAGE_BYTES))

        def story() -> None:
            large = self.payload(B, commits=["x" * 2 * MAX_MESSAGE_BYTES])
            self.assertEqual(self.deliver(large)[0], 200)
            too_large = self.payload(C, commits=["x" * 3 * MAX_MESSAGE_BYTES])
            self.assertEqual(self.deliver(too_large)[0], 413)

        return self.run_in_thread(story)
