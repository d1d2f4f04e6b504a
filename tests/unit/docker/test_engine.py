"""The engine's threads, with the fake engine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.docker.address import EngineAddress
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.runtime.clock import sleep
from tests.fakes.containers import FakeContainer
from tests.fakes.engine import FakeEngine

REACTOR: Any = reactor


class PoolsTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pools = Pools.of(1, 1, 1)
        pools.start()
        self.addCleanup(pools.stop)
        # It is stopped first, which frees the threads.
        self.fake = FakeEngine(Path(folder.name))
        self.fake.start()
        self.addCleanup(self.fake.stop)
        self.engine = Engine(REACTOR, pools, EngineAddress(f"unix://{self.fake.socket}", None, "the test"))
        for name, env in (("calm", {}), ("stubborn", {"NO_TERM": "1"})):
            self.fake.containers[name] = FakeContainer(name, {"Image": "sha256:1"}, env, [])
            self.fake.containers[name].start()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 10
        while not holds():
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)

    async def test_short_requests_get_a_thread_while_streams_and_stops_hold_theirs(self) -> None:
        waits = [Deferred.fromCoroutine(self.engine.wait("calm")) for _ in range(3)]
        stopping = Deferred.fromCoroutine(self.engine.stop("stubborn", 60))
        await self.until(lambda: "POST /containers/stubborn/stop" in self.fake.requests)
        inspecting = Deferred.fromCoroutine(self.engine.inspect_container("calm"))
        inspecting.addTimeout(5, REACTOR)
        self.assertTrue((await inspecting)["State"]["Running"])
        stopping.cancel()
        with self.assertRaises(CancelledError):
            await stopping
        self.assertFalse(self.fake.containers["stubborn"].is_running)
        await self.engine.stop("calm", 1)
        self.assertEqual([await wait for wait in waits], [0, 0, 0])
