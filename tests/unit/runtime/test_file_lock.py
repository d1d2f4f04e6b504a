"""A lock file that processes take in turn."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from hanoverd.runtime.file_lock import FileLock


class FileLockTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "lock"
        self.clock = Clock()
        self.logged: list[LogEvent] = []
        observer: Any = self.logged.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    async def use(self) -> str:
        async with FileLock(self.clock, self.path).held():
            return "used"

    def hold(self) -> int:
        """Hold the lock, as another process does."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return descriptor

    def advance(self, seconds: float) -> None:
        self.clock.pump([0.1] * round(seconds * 10))

    def test_a_free_lock_is_taken_at_once(self) -> None:
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.use())), "used")
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_a_wait_ends_when_the_lock_is_free(self) -> None:
        holder = self.hold()
        using = Deferred.fromCoroutine(self.use())
        self.advance(1)
        self.assertNoResult(using)
        os.close(holder)
        self.advance(1)
        self.assertEqual(self.successResultOf(using), "used")
        self.assertEqual(self.logged, [])

    def test_a_long_wait_is_logged_with_the_process_that_holds_the_lock(self) -> None:
        holder = self.hold()
        using = Deferred.fromCoroutine(self.use())
        self.advance(11)
        [event] = self.logged
        self.assertEqual((event["event"], event["path"]), ("lock_waiting", str(self.path)))
        comm = Path("/proc/self/comm").read_text().strip()
        self.assertEqual(event["holder"], f"process {os.getpid()} ({comm})")
        self.advance(60)
        self.assertEqual(len(self.logged), 2)
        os.close(holder)
        self.advance(1)
        self.successResultOf(using)

    def test_a_cancel_ends_the_wait(self) -> None:
        holder = self.hold()
        using = Deferred.fromCoroutine(self.use())
        using.cancel()
        self.failureResultOf(using, CancelledError)
        os.close(holder)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_link_is_not_followed(self) -> None:
        victim = self.path.with_name("victim")
        victim.write_text("content")
        self.path.symlink_to(victim)
        self.failureResultOf(Deferred.fromCoroutine(self.use()), OSError)
        self.assertEqual(victim.read_text(), "content")
