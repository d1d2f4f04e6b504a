"""What the tests of an app's life share: a world each, and ways to disturb it."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from hanoverd.deploy.events import Unhealthy
from hanoverd.deploy.state import Role
from hanoverd.deploy.time_limits import TimeLimits
from tests.fakes import firewall
from tests.fakes.engine import FakeEngine, HangUp, Refusal, _Handler
from tests.fakes.world import REACTOR, Daemon, World, until

T = TypeVar("T")

BEFORE, AFTER = "before", "after"

#: Longer than any test: what takes so long does not happen by itself.
LONG = 600.0

#: The nat table without any rule.
EMPTY = firewall._EMPTY


class ScenarioCase(TestCase):
    """A test with a world of its own, in which nothing may be left at the end."""

    timeout = 180

    def setUp(self) -> None:
        self.world = World(TimeLimits(last_output=0.05))

    async def tearDown(self) -> None:  # type: ignore[override]  # trial waits for it
        self.world.engine.on_request = lambda *_: None
        log = list(self.world.log)
        try:
            await self.world.close()
        finally:
            # pytest shows it where the test has failed.
            print("\n".join(log))

    async def started(self, **options: Any) -> Daemon:
        """A daemon whose first version, ``app-0``, is live."""
        daemon = self.world.daemon(**options)
        daemon.start()
        await daemon.live("app-0")
        return daemon

    async def replace(self, daemon: Daemon, name: str, **env: str) -> None:
        """Deploy another version, which gets this name, until it is live."""
        self.world.write_app(**(env or {"BUILD": name}))
        daemon.trigger(f"deploy {name}")
        await daemon.live(name)

    async def left_running(self, **options: Any) -> None:
        """Have ``app-0`` serve without any hanoverd."""
        daemon = await self.started(keep=True, **options)
        await daemon.stop()
        self.assert_alone("app-0")

    def assert_alone(self, name: str) -> None:
        """This version's container is the only one, it runs, and the rules lead to it."""
        self.assertEqual(self.world.state(), ([name], [name], [name]))

    async def alone(self, name: str) -> None:
        """Wait until this version is the only one."""
        await until(
            lambda: self.world.state() == ([name], [name], [name]), otherwise=lambda: f"there are: {self.world.state()}"
        )

    def assert_nothing_left(self) -> None:
        """No container, and no rule."""
        self.assertEqual(self.world.state(), ([], [], []))

    def never_ready(self, name: str) -> None:
        """Have the container of this name start without becoming ready; see ``becomes_ready``."""

        def act() -> None:
            self.world.engine.containers[name].env["STATUS"] = "503"

        on_request(self.world.engine, f"POST /containers/{name}/start", act)

    def becomes_ready(self, name: str) -> None:
        """Have a container answer that it is ready from now on."""
        self.world.engine.containers[name].env["STATUS"] = "200"

    def gate(self, request: str) -> Gate:
        """Hold up this request of the engine, when it comes."""
        return Gate(self.world.engine, request)

    def refuse_once(self, request: str) -> list[str]:
        """Have the engine answer this request with 503, once; returns what it refused."""
        engine = self.world.engine
        refused: list[str] = []

        def hook(_number: int, when: str, what: str) -> None:
            if when == BEFORE and not refused and named(engine, what) == request:
                refused.append(what)
                raise Refusal(503, "service unavailable")

        engine.on_request = hook
        return refused

    def falls_ill(self, name: str) -> None:
        """Have a container answer that it is not ready from now on."""
        self.world.engine.containers[name].env["STATUS"] = "503"

    def flush(self) -> None:
        """Remove all rules of the firewall, as another program does."""
        self.world.firewall._table.write_text(EMPTY)

    def build_without_end(self) -> None:
        """Have the next build go on until it is cancelled."""
        self.world.write_app()
        dockerfile = self.world.app_folder / "Dockerfile"
        dockerfile.write_text(f'{dockerfile.read_text()}RUN ["sleep", "1000"]\n')

    @contextmanager
    def one_fork_fails(self, program: str) -> Iterator[list[str]]:
        """Have the next start of a program fail, as at a limit of processes; yields what has failed."""
        spawn = REACTOR.spawnProcess
        failed: list[str] = []

        def failing(protocol: Any, executable: str, *arguments: Any, **options: Any) -> Any:
            if program in executable and not failed:
                failed.append(executable)
                raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
            return spawn(protocol, executable, *arguments, **options)

        with mock.patch.object(REACTOR, "spawnProcess", failing):
            yield failed


def role(daemon: Daemon, number: int) -> Role | None:
    """What a version is for, as the daemon sees it."""
    return daemon.orchestrator.state.role(number)


def complain(daemon: Daemon, number: int) -> None:
    """A version has failed its liveness check."""
    daemon.orchestrator.send(Unhealthy(number, "it does not answer any more"))


def on_request(engine: FakeEngine, request: str, act: Callable[[], object], phase: str = BEFORE) -> None:
    """Have ``act`` called in the engine's thread, once, at the first ``request``, beside what is called already.

    A container is known by its name here, whether the engine is asked by its ID or by its name.
    """
    others = engine.on_request
    done: list[int] = []

    def hook(number: int, when: str, what: str) -> None:
        others(number, when, what)
        if when == phase and not done and named(engine, what) == request:
            done.append(number)
            act()

    engine.on_request = hook


def named(engine: FakeEngine, what: str) -> str:
    """A request, with the container's name in the place of its ID."""
    for name, container in list(engine.containers.items()):
        what = what.replace(container.id, name)
    return what


class Gate:
    """Holds up requests of the engine until it is opened; never longer than a test may take."""

    def __init__(self, engine: FakeEngine, request: str) -> None:
        self.is_reached = False
        self._open = threading.Event()
        on_request(engine, request, self._wait)

    def open(self) -> None:
        """Let the request go on."""
        self._open.set()

    def _wait(self) -> None:
        self.is_reached = True
        self._open.wait(60)


@contextmanager
def streams_that_can_be_cut() -> Iterator[threading.Event]:
    """Have the engine hang up on all that follow a container while the event is set, as it does when it restarts and its
    containers go on.
    """
    cutting = threading.Event()

    def until_ended(handler: _Handler, container: Any) -> None:
        while not container.ended.wait(0.002):
            if cutting.is_set() or handler._client_is_gone():
                raise HangUp

    with mock.patch.object(_Handler, "_until_ended", until_ended):
        yield cutting


def start(work: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """Start a coroutine."""
    return Deferred.fromCoroutine(work)
