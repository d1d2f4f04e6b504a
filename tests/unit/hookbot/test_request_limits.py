"""The hookbot server, and clients that send too much, too slowly, or nonsense."""

from __future__ import annotations

import socket
import time
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from tests.unit.hookbot.serving import UNSAFE, ServerTestCase, read_all

MIB = 1024 * 1024


def head(path: str, *lines: str, method: str = "POST") -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def answer(sock: socket.socket) -> str:
    """What arrives until the connection ends."""
    received = b""
    while data := sock.recv(65536):
        received += data
    return received.decode()


class RequestLimitTests(ServerTestCase):
    def test_without_a_token_no_body_is_read(self) -> Deferred[None]:
        def story() -> None:
            with self.raw(head("/pub/a", "Content-Length: 99", "Expect: 100-continue")) as raw:
                received = raw.recv(1000)
                self.assertIn(b" 401 Unauthorized\r\n", received)
                self.assertIn(b'WWW-Authenticate: Basic realm="hookbot"\r\n', received)
                self.assertNotIn(b"100 Continue", received)
                # The rest of the body is forgotten, and then the connection ends.
                raw.sendall(bytes(99))
                self.assertEqual(raw.recv(1000), b"")

        return self.run_in_thread(story)

    def test_a_client_that_sends_its_whole_body_first_gets_the_answer(self) -> Deferred[None]:
        def story() -> None:
            size = 8 * MIB
            with self.raw(head("/pub/a", f"Content-Length: {size}")) as raw:
                raw.sendall(bytes(size))
                self.assertIn("\r\n\r\n401 Unauthorized\n", answer(raw))
            self.assertEqual(self.factory.wrappedFactory.bodies._total, 0)

        return self.run_in_thread(story)

    def test_a_body_that_is_too_large_is_refused_before_it_is_taken_in(self) -> Deferred[None]:
        def story() -> None:
            for path, most in (("/unsafe/pub/a", MIB), ("/unsafe/pub/github.com/?extra-metadata=github", 26 * MIB)):
                with self.raw(head(path, f"Content-Length: {most + 1}")) as raw:
                    self.assertIn(b" 413 ", raw.recv(1000))
            # A subscription has none.
            with self.raw(
                head(
                    "/unsafe/sub/a",
                    *(f"{name}: {value}" for name, value in UNSAFE.items()),
                    "Upgrade: websocket",
                    "Content-Length: 1",
                    method="GET",
                )
            ) as raw:
                self.assertIn(b" 413 ", raw.recv(1000))

        return self.run_in_thread(story)

    def test_a_body_may_come_in_chunks_but_not_without_end(self) -> Deferred[None]:
        chunked = head("/unsafe/pub/a", "Transfer-Encoding: chunked")

        def story() -> None:
            listener = self.listen("/unsafe/sub/a", UNSAFE)
            with self.raw(chunked + b"3\r\none\r\n4\r\n two\r\n0\r\n\r\n") as raw:
                self.assertIn(b" 200 ", raw.recv(1000))
                self.assertEqual(listener.recv(5), b"one two")
            with self.raw(chunked + b"1000\r\n" + bytes(0x1000)) as raw:
                self.assertIn(b" 413 ", raw.recv(1000))

        self.serve(ServerLimits(message=1000))
        return self.run_in_thread(story)

    def test_bodies_have_a_limit_together_and_the_oldest_is_refused(self) -> Deferred[None]:
        self.serve(ServerLimits(bodies=2 * MIB))

        def story() -> None:
            start = head("/unsafe/pub/a", f"Content-Length: {MAX_MESSAGE_BYTES}")
            # Each lacks one byte.
            with self.raw(start + bytes(MIB - 1)) as one, self.raw(start + bytes(MIB - 1)) as two:
                with self.raw(start + bytes(MIB)) as three:
                    self.assertIn(b" 200 ", three.recv(1000))
                self.assertIn(b" 503 ", one.recv(1000))
                two.sendall(b"x")
                self.assertIn(b" 200 ", two.recv(1000))
            self.assertEqual(self.factory.wrappedFactory.bodies._total, 0)

        return self.run_in_thread(story)

    def test_time_limits_do_not_start_again_at_each_byte(self) -> Deferred[None]:
        self.serve(ServerLimits(head_timeout=0.5, body_timeout=0.5, linger=0.2))

        def trickle(raw: socket.socket) -> float:
            begun = time.monotonic()
            try:
                while time.monotonic() < begun + 5:
                    raw.sendall(b"x")
                    time.sleep(0.05)
            except OSError:
                pass
            return time.monotonic() - begun

        def story() -> None:
            with self.raw(b"POST /unsafe/pub/a HTTP/1.1\r\nX: ") as raw:
                self.assertLess(trickle(raw), 2)
            with self.raw(head("/unsafe/pub/a", "Content-Length: 1000")) as raw:
                self.assertLess(trickle(raw), 2)
                self.assertIn(b" 408 ", raw.recv(1000))
            # Between two requests, and after an answer that the client does not want to be the last.
            with self.raw(head("/status", method="GET")) as raw:
                self.assertIn(b"OK\n", raw.recv(1000))
                self.assertEqual(raw.recv(1000), b"")
            with self.raw(head("/pub/a", "Content-Length: 1000")) as raw:
                self.assertLess(trickle(raw), 2)

        return self.run_in_thread(story)

    def test_a_client_that_does_not_read_its_answers_is_dropped(self) -> Deferred[None]:
        self.serve(ServerLimits(head_timeout=0.3, linger=0.2))

        def story() -> None:
            with socket.socket() as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                raw.connect(("127.0.0.1", self.port))
                raw.settimeout(5)
                with self.assertRaises(ConnectionError):
                    while True:
                        raw.sendall(head("/nothing", method="GET") * 100)

        return self.run_in_thread(story)

    def test_forms_are_not_parsed(self) -> Deferred[None]:
        def story() -> None:
            listener = self.listen("/unsafe/sub/a", UNSAFE)
            part = b'--b\r\nContent-Disposition: form-data; name="extra-metadata"\r\n\r\nx\r\n'
            body = part * (MIB // len(part) - 1) + b"--b--\r\n"
            for kind in ("multipart/form-data; boundary=b", "multipart/form-data", "application/x-www-form-urlencoded"):
                self.assertEqual(self.post("/unsafe/pub/a", body, {"Content-Type": kind}), (200, b"OK\n"))
                self.assertEqual(listener.recv(5), body)

        return self.run_in_thread(story)

    def test_paths_are_limited(self) -> Deferred[None]:
        def story() -> None:
            for path in ("/pub/" + "x" * 5000, "/pub/" + "/" * 100, "/pub/" + "%2f" * 100, "/pub/a?" + "x" * 5000):
                self.assertEqual(self.post(path, b"", {})[0], 414)

        return self.run_in_thread(story)

    def test_bytes_that_are_no_text_are_no_error(self) -> Deferred[None]:
        def story() -> None:
            for name in ("Authorization", "X-Hub-Signature-256", "X-GitHub-Event", "Origin", "Content-Type", "Upgrade"):
                for path, status in (
                    ("/pub/a", b" 401 "),
                    ("/unsafe/pub/a", b" 200 "),
                    ("/unsafe/pub/github.com/?extra-metadata=github", b" 403 "),
                ):
                    start = head(path, "Content-Length: 2")[:-2] + name.encode() + b": \xff\xfe\r\n\r\n"
                    with self.raw(start + b"{}") as raw:
                        self.assertIn(status, raw.recv(1000), (name, path))
            for value in (b"Basic \xff", b"Basic /w==", b"Bearer \xc3\xa9", b"\xff"):
                start = head("/pub/a", "Content-Length: 0")[:-2] + b"Authorization: " + value + b"\r\n\r\n"
                with self.raw(start) as raw:
                    self.assertIn(b" 401 ", raw.recv(1000))

        return self.run_in_thread(story)

    def test_connections_have_a_limit_and_those_with_a_token_stay(self) -> Deferred[None]:
        self.serve(ServerLimits(connections=5))

        def story() -> None:
            listener = self.listen("/sub/a")
            stranger = self.listen("/unsafe/sub/a", UNSAFE)
            idle = [self.connections.enter_context(self.raw()) for _ in range(20)]
            self.assertEqual(self.post("/pub/a", b"x")[0], 200)
            self.assertEqual(listener.recv(5), b"x")
            self.assertLessEqual(len(self.factory.protocols), 5)
            with self.assertRaises(ConnectionResetError):
                read_all(idle[0])
            with self.assertRaises(Exception) as dropped:
                stranger.recv(5)
            self.assertNotIsInstance(dropped.exception, TimeoutError)

        return self.run_in_thread(story)

    def test_if_all_have_a_token_a_new_connection_is_dropped(self) -> Deferred[None]:
        self.serve(ServerLimits(connections=2))

        def story() -> None:
            listeners = [self.listen("/sub/a"), self.listen("/sub/a")]
            with self.assertRaises(OSError):
                self.post("/pub/a", b"x")
            listeners[0].close()
            while len(self.factory.protocols) > 1:
                time.sleep(0.01)
            self.assertEqual(self.post("/pub/a", b"x")[0], 200)
            self.assertEqual(listeners[1].recv(5), b"x")

        return self.run_in_thread(story)

    def test_the_access_log_has_the_time_of_day(self) -> Deferred[None]:
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: Any) -> None:
            if " - - [" in str(event.get("message") or event.get("log_io")):
                lines.append(str(event.get("message") or event.get("log_io")))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

        def story() -> None:
            self.assertEqual(self.post("/status", b"", {}, method="GET"), (200, b"OK\n"))
            self.post("/pub/a", b"a body", {})
            self.post(f"/unsafe/pub/{'x' * 3000}", b"", {})

        def check(_: None) -> None:
            self.assertEqual(len(lines), 3, lines)
            for line in lines:
                self.assertRegex(line, r"\[14/Nov/2023:22:13:20 \+0000\]")
                self.assertLess(len(line), 1100)
            self.assertIn('"POST /pub/a HTTP/1.1" 401 17', lines[1])

        return self.run_in_thread(story).addCallback(check)
