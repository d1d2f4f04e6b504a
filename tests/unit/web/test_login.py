"""The login: wrong tokens are slow to try, and a replaced token ends all sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from hanoverd.runtime.errors import WebError
from hanoverd.web.login import ATTEMPT_PERIOD, MOST_ATTEMPTS, MOST_WAITING, Login, TooManyAttempts
from hanoverd.web.sessions import Sessions
from hanoverd.web.token import TokenFile


class LoginTests(TestCase):
    """With a file, and a thread that works at once."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.clock, self.sessions = Clock(), Sessions()
        self.file = TokenFile(Path(folder.name, "page.token"))
        self.token = self.file.replace()
        self.checks = 0
        self.login = Login(self.clock, self.file, self.sessions, self.in_thread)

    def in_thread(self, work: Callable[[], bool]) -> Deferred[bool]:
        self.checks += 1
        return succeed(work())

    async def test_only_the_token_is_accepted(self) -> None:
        self.assertTrue(await self.login.is_token(self.token, "192.0.2.1"))
        for wrong in ("", self.token[:-1], "\udcff"):
            self.assertFalse(await self.login.is_token(wrong, "192.0.2.1"))

    async def test_the_token_that_was_accepted_takes_no_time_again(self) -> None:
        for _ in range(3 * MOST_ATTEMPTS):
            self.assertTrue(await self.login.is_token(self.token, "192.0.2.1"))
        self.assertEqual(self.checks, 1)

    async def test_an_address_has_a_limited_number_of_attempts(self) -> None:
        for _ in range(MOST_ATTEMPTS):
            self.assertFalse(await self.login.is_token("wrong", "192.0.2.1"))
        with self.assertRaisesRegex(TooManyAttempts, "try again in 60 seconds"):
            await self.login.is_token(self.token, "192.0.2.1")
        self.assertEqual(self.checks, MOST_ATTEMPTS)
        # Others are not affected, and the limit passes.
        self.assertTrue(await self.login.is_token(self.token, "192.0.2.2"))
        self.clock.advance(ATTEMPT_PERIOD)
        self.assertTrue(await self.login.is_token(self.token, "192.0.2.1"))

    async def test_an_ipv6_network_is_one_address(self) -> None:
        for number in range(MOST_ATTEMPTS):
            self.assertFalse(await self.login.is_token("wrong", f"2001:db8::{number}"))
        with self.assertRaises(TooManyAttempts):
            await self.login.is_token("wrong", "2001:db8::ffff")

    async def test_many_addresses_at_once_wait_in_a_queue_of_limited_length(self) -> None:
        threads: list[Deferred[bool]] = []

        def in_thread(_work: object) -> Deferred[bool]:
            threads.append(Deferred())
            return threads[-1]

        self.login = Login(self.clock, self.file, self.sessions, in_thread)
        waiting = [
            Deferred.fromCoroutine(self.login.is_token("wrong", f"192.0.2.{number}"))
            for number in range(MOST_WAITING + 1)
        ]
        with self.assertRaisesRegex(TooManyAttempts, "too many logins at once"):
            await self.login.is_token("wrong", "198.51.100.1")
        # One after the other.
        for number, one in enumerate(waiting):
            self.assertEqual(len(threads), number + 1)
            threads[-1].callback(False)
            self.assertFalse(await one)

    async def test_a_replaced_token_ends_all_sessions_and_the_old_token(self) -> None:
        self.assertTrue(await self.login.is_token(self.token, "192.0.2.1"))
        cookie = self.sessions.begin(0)
        self.assertTrue(self.login.is_logged_in(cookie))
        self.assertFalse(self.login.is_logged_in(""))
        new = TokenFile(self.file._path).replace()
        self.assertFalse(self.login.is_logged_in(cookie))
        self.assertFalse(await self.login.is_token(self.token, "192.0.2.1"))
        self.assertTrue(await self.login.is_token(new, "192.0.2.1"))

    async def test_without_the_file_no_one_is_logged_in(self) -> None:
        self.assertTrue(await self.login.is_token(self.token, "192.0.2.1"))
        cookie = self.sessions.begin(0)
        self.assertTrue(self.login.is_logged_in(cookie))
        self.file._path.unlink()
        self.assertFalse(self.login.is_logged_in(cookie))
        with self.assertRaisesRegex(WebError, "--new-token"):
            await self.login.is_token(self.token, "192.0.2.1")
