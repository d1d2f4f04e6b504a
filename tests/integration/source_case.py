"""What the tests of sources share: a source that uses the lab's engine and runs in this process."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import process, reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hanoverd.docker.address import EngineAddress
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.images import Source, SourceContext
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HanoverdError
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import Image
from hanoverd.spec.git_options import GitOptions
from tests.fakes.source_context import source_context
from tests.lab.host import Lab
from tests.lab.images import BASE

REACTOR: Any = reactor

#: How long a cancel may take, in seconds, on a busy machine: what it ends would take a minute, or never end.
SOON = 20

#: The smallest image that can be built from what the lab has.
TINY = f"FROM {BASE}\nLABEL content=%s\nEXPOSE 80\n"


class SourceCase(TestCase):
    """Provides an engine, a folder and the context of a source for each test."""

    lab: Lab

    @pytest.fixture(autouse=True)
    def _in_the_lab(self, lab: Lab) -> None:
        self.lab = lab

    def setUp(self) -> None:
        self.pool = Pools.of(20, 20, 20)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.engine = Engine(REACTOR, self.pool, EngineAddress(self.lab.docker_host, None, "the test"))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        home = tempfile.TemporaryDirectory()
        self.addCleanup(home.cleanup)
        self.home = home.name
        self.progress: list[str] = []
        self.addCleanup(self._no_process_is_left)

    def _no_process_is_left(self) -> None:
        assert not process.reapProcessHandlers, "a program still runs"

    def context(
        self,
        *,
        build: BuildOptions | None = None,
        pull: str | None = None,
        git: GitOptions | None = None,
        environ: Mapping[str, str] | None = None,
        app: str = "sourced",
    ) -> SourceContext:
        """Return the context of a source."""
        environ = {"DOCKER_HOST": self.lab.docker_host, "HOME": self.home, **(environ or {})}
        return source_context(REACTOR, self.engine, self.folder, app, build=build, pull=pull, git=git, environ=environ)

    async def obtain(self, source: Source, revision: str | None = None) -> Image:
        """Obtain the image."""
        return await source.obtain(self.progress.append, revision)

    def label(self, image: Image) -> str:
        """Return the label of the image that names its content."""
        found = json.loads(self.lab.docker("GET", f"/images/{image.id}/json")[1])
        content: str = (found["Config"]["Labels"] or {}).get("content", "")
        return content

    async def fails(self, work: Awaitable[object], kind: type[Exception] = HanoverdError) -> str:
        """Return the message with which ``work`` fails."""
        try:
            await work
        except kind as error:
            return str(error)
        raise AssertionError("it did not fail")

    async def cancelled(self, work: Deferred[Any]) -> float:
        """Cancel ``work``, and return the seconds until it was over."""
        begun = time.monotonic()
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        return time.monotonic() - begun

    async def until(self, holds: Callable[[], object], seconds: float = 60) -> None:
        """Wait until ``holds`` returns true."""
        deadline = time.monotonic() + seconds
        while not await deferToThread(holds):
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.02)

    def containers(self) -> list[dict[str, Any]]:
        """Return all containers of the engine, running or not."""
        found: list[dict[str, Any]] = json.loads(self.lab.docker("GET", "/containers/json?all=1")[1])
        return found


def environment(**changed: str) -> dict[str, str]:
    """Return the environment of this process, with changes."""
    return {**os.environ, **changed}
