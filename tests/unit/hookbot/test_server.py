"""The hookbot server: topics, tokens and messages."""

from __future__ import annotations

from http.client import HTTPConnection

import pytest
from twisted.internet.defer import Deferred
from websockets.exceptions import InvalidStatus

from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES
from hanoverd.hookbot.tokens import make_token
from tests.unit.hookbot.serving import KEY, UNSAFE, ServerTestCase, basic

#: Paths that are no UTF-8, as they are encoded and as they are here.
NO_TEXT = (("%ff", "\udcff"), ("%fe", "\udcfe"))


class ServerTests(ServerTestCase):
    def test_a_topic_is_the_decoded_path_and_its_token_too(self) -> Deferred[None]:
        def story() -> None:
            for encoded, topic in (
                ("feature%231", "feature#1"),
                ("gr%C3%B6sse", "grösse"),
                ("a%3Bb", "a;b"),
                ("%78", "x"),
            ):
                plain = self.listen(f"/sub/{encoded}", basic(f"/sub/{topic}"))
                self.assertIn(topic, self.server.subscribers.topics)
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
            # With a body, it is answered before that has arrived.
            for body in (b"", b"x"):
                connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
                connection.request("DELETE", "/pub/a", body, basic("/pub/a"))
                answer = connection.getresponse()
                self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST, PUT"))
                connection.close()
            self.assertEqual(self.post("/sub/a", b"")[0], 400)
            self.assertEqual(self.post("/pub/a", b"x" * (MAX_MESSAGE_BYTES + 1))[0], 413)
            self.assertEqual(self.post("/pub/a?extra-metadata=gitlab", b"")[0], 400)

        return self.run_in_thread(story)
