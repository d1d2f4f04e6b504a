"""The hookbot server, over loopback, with an independent implementation of websockets as its clients."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES, UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.hookbot.server import Server, ServerLimits
from hanoverd.hookbot.tokens import make_token
from hanoverd.hookbot.websocket import ServerTimeouts

REACTOR: Any = reactor
KEY = "the key"
SECRET = "GitHub's secret"
UNSAFE = {UNSAFE_HEADER: UNSAFE_CONSENT}

#: Paths that are no UTF-8, as they are encoded and as they are here.
NO_TEXT = (("%ff", "\udcff"), ("%fe", "\udcfe"))
PUSH = {
    "ref": "refs/heads/main",
    "after": "1" * 40,
    "repository": {"full_name": "me/app"},
    "pusher": {"name": "someone"},
}


def basic(path: str, key: str = KEY) -> dict[str, str]:
    """The header that allows what is at ``path``."""
    return {"Authorization": "Basic " + base64.b64encode(f"{make_token(key, path)}:".encode()).decode()}


class ServerTests(TestCase):
    """Each test's ``story`` runs in a thread, the server in the reactor."""

    def setUp(self) -> None:
        self.connections = ExitStack()
        self.listening: Any = None
        self.serve()

    def serve(self, limits: ServerLimits = ServerLimits(), timeouts: ServerTimeouts = ServerTimeouts()) -> None:  # noqa: B008
        """Start the server, instead of the one that runs."""
        if self.listening is not None:
            self.addCleanup(self.listening.stopListening)
        self.server = Server(REACTOR, KEY, SECRET, limits, timeouts)
        self.listening = REACTOR.listenTCP(0, self.server.site(), interface="127.0.0.1")
        self.port = self.listening.getHost().port

    def tearDown(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        self.server.drop_all()
        stopped: Deferred[None] = self.listening.stopListening()
        # The connections' ends take a turn to arrive.
        return stopped.addCallback(lambda _: Deferred.fromCoroutine(self._quiet()))

    async def _quiet(self) -> None:
        await deferToThread(self.connections.close)
        for _ in range(200):
            if not self.server._listeners:
                break
            await _pause(0.01)

    def run_in_thread(self, story: Callable[[], None]) -> Deferred[None]:
        return deferToThread(story)

    def listen(self, path: str, headers: dict[str, str] | None = None) -> ClientConnection:
        """A websocket; what is published from now on reaches it."""
        allowed = basic(path) if headers is None else headers
        return self.connections.enter_context(
            connect(f"ws://127.0.0.1:{self.port}{path}", additional_headers=allowed, proxy=None)
        )

    def post(
        self, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> tuple[int, bytes]:
        """The status and body of the answer."""
        allowed = basic(path.partition("?")[0]) if headers is None else headers
        request = Request(f"http://127.0.0.1:{self.port}{path}", body, allowed, method=method)
        try:
            with urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def webhook(self, secret: str, *, name: str = "X-Hub-Signature", event: str = "push", payload: Any = None) -> int:
        """Post what GitHub would."""
        body = json.dumps(PUSH if payload is None else payload).encode()
        algorithm = "sha256" if name.endswith("256") else "sha1"
        signature = f"{algorithm}=" + hmac.new(secret.encode(), body, algorithm).hexdigest()
        headers = {name: signature, "X-GitHub-Event": event, "X-GitHub-Delivery": "d"}
        return self.post("/unsafe/pub/github.com/me?extra-metadata=github", body, headers)[0]

    def test_a_topic_is_the_decoded_path_and_its_token_too(self) -> Deferred[None]:
        def story() -> None:
            for encoded, topic in (
                ("feature%231", "feature#1"),
                ("gr%C3%B6sse", "grösse"),
                ("a%3Bb", "a;b"),
                ("%78", "x"),
            ):
                plain = self.listen(f"/sub/{encoded}", basic(f"/sub/{topic}"))
                self.assertIn(topic, self.server._listeners)
                self.assertEqual(self.post(f"/pub/{encoded}", b"hello", basic(f"/pub/{topic}")), (200, b"OK\n"))
                self.assertEqual(plain.recv(5), b"hello")

        return self.run_in_thread(story)

    def test_however_a_topic_is_encoded_it_is_the_same(self) -> Deferred[None]:
        def story() -> None:
            listening = self.listen("/sub/a;b/c%20d/", basic("/sub/a;b/c d/"))
            self.post("/pub/a%3bb/c%20d/%65", b"hello", basic("/pub/a;b/c d/e"))
            self.assertEqual(listening.recv(5), b"a;b/c d/e\0hello")

        return self.run_in_thread(story)

    def test_bytes_that_are_no_text_are_a_topic_too(self) -> Deferred[None]:
        def story() -> None:
            one, other = (self.listen(f"/sub/{raw}", basic(f"/sub/{raw_text}")) for raw, raw_text in NO_TEXT)
            self.post("/pub/%ff", b"hello", basic("/pub/\udcff"))
            self.assertEqual(one.recv(5), b"hello")
            with pytest.raises(TimeoutError):
                other.recv(0.1)

        return self.run_in_thread(story)

    def test_what_is_published_reaches_those_who_listen_verbatim(self) -> Deferred[None]:
        def story() -> None:
            one, two = self.listen("/sub/a/b"), self.listen("/sub/a/b")
            other = self.listen("/sub/a")
            for body in (b"", b"\x00\xff binary\n", b"x" * MAX_MESSAGE_BYTES):
                self.assertEqual(self.post("/pub/a/b", body), (200, b"OK\n"))
                self.assertEqual([one.recv(5), two.recv(5)], [body, body])
            with pytest.raises(TimeoutError):
                other.recv(0.1)

        return self.run_in_thread(story)

    def test_a_topic_that_ends_in_a_slash_is_told_all_below_it(self) -> Deferred[None]:
        def story() -> None:
            every, below, exact = self.listen("/sub/a/"), self.listen("/sub/a/b/"), self.listen("/sub/a/b/c")
            self.post("/pub/a/b/c", b"body")
            self.assertEqual(every.recv(5), b"a/b/c\0body")
            self.assertEqual(below.recv(5), b"a/b/c\0body")
            self.assertEqual(exact.recv(5), b"body")
            # A topic may end in a slash itself: it is published once, in the same way.
            self.post("/pub/a/", b"x")
            self.assertEqual(every.recv(5), b"a/\0x")
            with pytest.raises(TimeoutError):
                every.recv(0.1)

        return self.run_in_thread(story)

    def test_who_may_do_what(self) -> Deferred[None]:
        def story() -> None:
            for path, good in (
                ("/pub/a/b", "/pub/a/b"),
                ("/pub/a/b", "/pub/a/"),
                ("/pub/a/b", "/pub/"),
                ("/pub/a/b", "/a/b"),
                ("/pub/a%20b", "/pub/a b"),
            ):
                self.assertEqual(self.post(path, b"", basic(good))[0], 200, good)
            bearer = {"Authorization": f"Bearer {make_token(KEY, '/pub/a/b')}"}
            self.assertEqual(self.post("/pub/a/b", b"", bearer)[0], 200)
            for headers in (
                {},
                basic("/pub/a"),
                basic("/pub/a/b/"),
                basic("/sub/a/b"),
                basic("/pub/a/b", "another key"),
                {"Authorization": "Basic !"},
                {"Authorization": f"Digest {make_token(KEY, '/pub/a/b')}"},
                {"Authorization": "Bearer"},
            ):
                self.assertEqual(self.post("/pub/a/b", b"", headers), (401, b"401 Unauthorized\n"), headers)
                with pytest.raises(InvalidStatus) as refused:
                    self.listen("/sub/a/c", headers)
                self.assertEqual(refused.value.response.status_code, 401)
                self.assertIn("Basic", refused.value.response.headers["WWW-Authenticate"])

        return self.run_in_thread(story)

    def test_an_unsafe_topic_is_anybodys_and_a_listener_has_to_say_that_it_knows(self) -> Deferred[None]:
        def story() -> None:
            with pytest.raises(InvalidStatus) as refused:
                self.listen("/unsafe/sub/a", {})
            self.assertEqual(refused.value.response.status_code, 400)
            unsafe, safe = self.listen("/unsafe/sub/a", UNSAFE), self.listen("/sub/a")
            every = self.listen("/unsafe/sub/", UNSAFE)
            self.assertEqual(self.post("/unsafe/pub/a", b"x", {})[0], 200)
            self.assertEqual(unsafe.recv(5), b"x")
            with pytest.raises(TimeoutError):
                safe.recv(0.1)
            self.assertEqual(every.recv(5), b"/unsafe/a\0x")

        return self.run_in_thread(story)

    def test_other_requests_are_refused_in_words(self) -> Deferred[None]:
        def story() -> None:
            self.assertEqual(self.post("/", b"", {})[0], 404)
            self.assertEqual(self.post("/elsewhere", b"", {})[0], 404)
            self.assertEqual(self.post("/pub/a", b"", method="GET")[0], 405)
            self.assertEqual(self.post("/sub/a", b"")[0], 400)
            self.assertEqual(self.post("/pub/a", b"x" * (MAX_MESSAGE_BYTES + 1))[0], 413)
            self.assertEqual(self.post("/pub/a?extra-metadata=gitlab", b"")[0], 400)

        return self.run_in_thread(story)

    def test_a_body_that_is_too_large_is_refused_before_it_is_taken_in(self) -> Deferred[None]:
        def story() -> None:
            with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
                raw.sendall(b"POST /unsafe/pub/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n")
                self.assertIn(b" 413 ", raw.recv(1000))

        return self.run_in_thread(story)

    def test_a_body_may_come_in_chunks_but_not_without_end(self) -> Deferred[None]:
        head = b"POST /unsafe/pub/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

        def story() -> None:
            listener = self.listen("/unsafe/sub/a", UNSAFE)
            with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
                raw.sendall(head + b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n")
                self.assertIn(b" 200 ", raw.recv(1000))
                self.assertEqual(listener.recv(5), b"one two")
            with socket.create_connection(("127.0.0.1", self.port), 10) as raw:
                raw.sendall(head + b"1000\r\n" + bytes(0x1000))
                self.assertIn(b" 413 ", raw.recv(1000))

        self.serve(ServerLimits(body=1000))
        return self.run_in_thread(story)

    def test_pushes_that_github_tells_of_are_routed(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen("/sub/github.com/repo/me/app/branch/main")
            raw = self.listen("/unsafe/sub/github.com/", UNSAFE)
            for name in ("X-Hub-Signature", "X-Hub-Signature-256"):
                self.assertEqual(self.webhook(SECRET, name=name), 200)
                push = {"Type": "push", "Repo": "me/app", "Branch": "main", "SHA": "1" * 40, "Who": "someone"}
                self.assertEqual(json.loads(branch.recv(5)), push)
                topic, _, body = raw.recv(5, decode=False).partition(b"\0")
                self.assertEqual(topic, b"/unsafe/github.com/me")
                wrapped = json.loads(body)
                self.assertEqual((wrapped["Event"], wrapped["Delivery"]), ("push", "d"))
                self.assertEqual(json.loads(base64.b64decode(wrapped["Payload"])), PUSH)

        return self.run_in_thread(story)

    def test_webhooks_that_are_not_githubs_or_no_pushes_are_not_routed(self) -> Deferred[None]:
        def story() -> None:
            branch = self.listen("/sub/github.com/repo/me/app/branch/main")
            self.webhook("another secret")
            self.webhook("another secret", name="X-Hub-Signature-256")
            self.webhook(SECRET, name="X-Nothing")
            self.webhook(SECRET, event="issues")
            self.webhook(SECRET, payload={})
            self.webhook(SECRET, payload={**PUSH, "ref": "refs/tags/main"})
            self.post("/unsafe/pub/github.com/me", b"no JSON", {})
            with pytest.raises(TimeoutError):
                branch.recv(0.3)
            self.webhook(SECRET)
            self.assertIn("someone", str(branch.recv(5)))

        return self.run_in_thread(story)

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
            self.assertEqual(len(self.server._listeners["a"]), 1)

        self.serve(ServerLimits(waiting_bytes=3 * MAX_MESSAGE_BYTES))
        return self.run_in_thread(story)

    def test_a_listener_that_takes_nothing_for_too_long_is_dropped(self) -> Deferred[None]:
        def story() -> None:
            with slow_listener(self.port, "/sub/a"):
                for _ in range(8):
                    self.post("/pub/a", b"x" * MAX_MESSAGE_BYTES)
                threading.Event().wait(0.6)
                self.assertNotIn("a", self.server._listeners)

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
        self.serve(timeouts=ServerTimeouts(ping=0.5, pong=1.0))

        def story() -> None:
            with slow_listener(self.port, "/sub/a"):
                threading.Event().wait(2.5)
                self.assertNotIn("a", self.server._listeners)
            # An honest one stays.
            listener = self.listen("/sub/a")
            threading.Event().wait(2.5)
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

    def test_gits_hosts_clients_send_an_origin_that_is_no_url(self) -> Deferred[None]:
        def story() -> None:
            listener = self.listen("/sub/a", {**basic("/sub/a"), "Origin": "//hook.example"})
            self.post("/pub/a", b"x")
            self.assertEqual(listener.recv(5), b"x")

        return self.run_in_thread(story)


@contextmanager
def slow_listener(port: int, path: str) -> Iterator[socket.socket]:
    """A websocket whose client reads nothing, not even pings."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", port))
        key = base64.b64encode(hashlib.sha1(b"x").digest()[:16]).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in basic(path).items()]
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        assert b" 101 " in raw.recv(200)
        yield raw


def read_all(sock: socket.socket) -> None:
    """Read until the end."""
    while sock.recv(1 << 20):
        pass


def _pause(seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    REACTOR.callLater(seconds, waiting.callback, None)
    return waiting
