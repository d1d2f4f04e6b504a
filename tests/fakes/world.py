"""An app, wired as the daemon wires it, at the near side of a fake engine and a fake firewall."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet import process, reactor
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogPublisher

from hanoverd.deploy.app import App, AppFiles
from hanoverd.deploy.handover import Sources
from hanoverd.deploy.time_limits import DEFAULT_LIMITS, TimeLimits
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.images.folder import FolderSource
from hanoverd.images.registry import RegistrySource
from hanoverd.logs.formats import fields_of
from hanoverd.notify.hooks import Hooks
from hanoverd.runtime.cancellation import Outcome
from hanoverd.runtime.clock import sleep
from hanoverd.spec.app import AppSpec
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.handover import DrainSpec, HandoverSpec
from hanoverd.spec.health import HealthSpec, ProbeSpec
from hanoverd.spec.notifications import Hook, NotificationSpec
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PortRequest, PublishedPort
from hanoverd.spec.restart import RestartPolicy
from hanoverd.spec.retention import KEEP, STOP, RetentionSpec
from hanoverd.spec.source import SourceSpec
from hanoverd.spec.source_name import FOLDER, SourceName
from tests.fakes.engine import FakeEngine
from tests.fakes.firewall import FakeFirewall
from tests.fakes.source_context import source_context
from tests.lab.events import Event, Wanted
from tests.lab.images import write_app

REACTOR: Any = reactor
#: How long to wait, in seconds, for what must happen: the machine may be busy.
WITHIN = 60.0

APP = "app"
PORT = 8472

#: Lists a connection to every container there was that never ends, as conntrack does.
BUSY = """\
while read -r address; do
    echo "tcp 6 431999 ESTABLISHED src=1.1.1.1 dst=2.2.2.2 sport=1 dport=2 src=$address dst=1.1.1.1 sport=2 dport=1"
done <addresses
"""


class World:
    """The far side, which outlives any number of daemons.  Begin with the constructor, end with ``close``, which fails where
    anything was left behind.
    """

    def __init__(self, limits: TimeLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        self._threads = set(threading.enumerate())
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.app_folder = self.folder / "app"
        self.write_app()
        self.engine = FakeEngine(self.folder)
        self.engine.start()
        self.firewall = FakeFirewall(self.folder)
        self.log: list[str] = []
        self.events: list[Event] = []
        self._daemons: list[Daemon] = []
        self._observer = cast("ILogObserver", self._observe)
        globalLogPublisher.addObserver(self._observer)

    def daemon(self, **options: Any) -> Daemon:
        """A hanoverd, which is not started yet; see ``Daemon``."""
        daemon = Daemon(self, **options)
        self._daemons.append(daemon)
        return daemon

    def write_app(self, **env: str) -> None:
        """Have the next build make an app with this environment."""
        write_app(self.app_folder, expose=[PORT], env=env)

    @property
    def number_file(self) -> Path:
        """The file that holds the number of the next version."""
        return self.folder / "state" / "next-version"

    @property
    def history_file(self) -> Path:
        """The file that holds the history of handovers."""
        return self.folder / "state" / "app.history" / "history.sqlite3"

    def forget_numbers(self) -> None:
        """Have versions counted from 0 again."""
        self.number_file.unlink(missing_ok=True)

    def break_app(self) -> None:
        """Have the next build fail."""
        (self.app_folder / "Dockerfile").write_text("NONSENSE\n")

    def keep_busy(self) -> None:
        """Have every container keep a connection for ever."""
        self.conntrack(f"cd {self.folder}\n{BUSY}")

    def conntrack(self, script: str) -> None:
        """Replace the program ``conntrack`` by a shell script."""
        program = self.folder / "conntrack"
        program.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        program.chmod(0o755)

    def kill(self, name: str, code: int = 1) -> None:
        """Have a container exit by itself."""
        with self.engine.lock:
            self.engine.containers[name].end(code)

    @property
    def routed_versions(self) -> list[str]:
        """The versions that the rules name, each once."""
        return sorted({rule.split('"')[1].removeprefix("hanoverd: ") for rule in self.firewall.rules() if '"' in rule})

    def state(self) -> tuple[list[str], list[str], list[str]]:
        """Return all containers, the running ones, and the versions to which the rules route."""
        return sorted(self.engine.containers), self.engine.running(), self.routed_versions

    def has_logged(self, *ids: str, **fields: object) -> bool:
        """Whether an event of one of these kinds, with these values of its fields, was logged."""
        wanted = Wanted(ids, fields)
        return any(wanted.matches(event) for event in self.events)

    async def close(self) -> None:
        """Stop all daemons; AssertionError for what is left behind, or was logged as an internal error."""
        try:
            for daemon in self._daemons:
                await daemon.stop()
        finally:
            # The engine first: where a stop has failed, threads still wait for it.
            self.engine.stop()
            for daemon in self._daemons:
                daemon.pools.stop()
            globalLogPublisher.removeObserver(self._observer)
        left: list[object] = [*process.reapProcessHandlers, *(set(threading.enumerate()) - self._threads)]
        if not any(daemon.keep for daemon in self._daemons):
            left += [*self.engine.containers, *self.firewall.rules()]
        # Sockets close a turn later, at most.
        for _ in range(3):
            await sleep(REACTOR, 0)
        # All but the time limit of the test itself.
        left += [call for call in REACTOR.getDelayedCalls() if "trial" not in call.func.__module__]
        self._folder.cleanup()
        assert left == [], f"left behind: {left}"
        bugs = [event.message for event in self.events if event.id == "internal_error"]
        assert bugs == [], bugs

    def _observe(self, event: LogEvent) -> None:
        if str(event.get("log_namespace", "")).startswith("hanoverd"):
            text = eventAsText(event, includeTimestamp=False, includeSystem=False)
            self.log.append(text)
            if "event" in event:
                self.events.append(Event(len(self.events) + 1, event["event"], text, fields_of(event)))


class Daemon:
    """A hanoverd for the app of a world."""

    def __init__(
        self,
        world: World,
        *,
        overlap: bool = True,
        grace: float = 0.0,
        drain: float = 0.0,
        drain_signal: str | None = None,
        kept: int = 0,
        restart: str = "no",
        most: int | None = None,
        keep: bool = False,
        settle: float = 0.0,
        ports: Sequence[int] = (PORT,),
        hooks: Sequence[tuple[str, str]] = (),
        status_timeout: float = 30.0,
        obtain_timeout: float = 60.0,
        watch: float = 0.0,
        probe: ProbeSpec = ProbeSpec(),  # noqa: B008  # it is frozen
        container: ContainerSpec | None = None,
        cidfile: str = "",
        limits: TimeLimits | None = None,
        if_changed: bool = False,
    ) -> None:
        self.world = world
        self.keep = keep
        self.pools = Pools.of(20, 20, 50)
        self.pools.start()
        engine = Engine(REACTOR, self.pools, EngineAddress(f"unix://{world.engine.socket}", None, "the test"))
        context = source_context(REACTOR, engine, world.app_folder, APP)
        published = tuple(ContainerPort(port) for port in ports)
        spec = AppSpec(
            name=APP,
            source=SourceSpec(SourceName(FOLDER, "."), str(world.app_folder), str(world.app_folder)),
            container=container or ContainerSpec(ports=published),
            ports=tuple(PortRequest(port, range(8080 + index, 8081 + index)) for index, port in enumerate(published)),
            health=HealthSpec(status_timeout, watch, 1, probe),
            handover=HandoverSpec(
                obtain_timeout, DrainSpec(grace, drain, drain_signal), not overlap, settle, if_changed
            ),
            restart=RestartPolicy(restart, most),
            retention=RetentionSpec(kept, KEEP if keep else STOP),
            notifications=NotificationSpec(tuple(Hook(*hook) for hook in hooks)),
            cidfile=cidfile,
        )
        held = [PublishedPort(HostPort(ANY_IPV4, 8080 + index), port) for index, port in enumerate(published)]
        self.source = FolderSource(".", context)
        self.app = App(
            REACTOR,
            world.firewall.environ,
            spec,
            engine,
            Sources(
                self.source, lambda reference: RegistrySource(reference, context), obtain_timeout, lambda _line: None
            ),
            held,
            Hooks(REACTOR, {"PATH": "/usr/bin:/bin"}, spec.notifications),
            AppFiles(world.history_file, world.folder / "paused", world.number_file),
            {},
            limits or world.limits,
        )
        self.orchestrator = self.app.orchestrator
        self.trigger = self.orchestrator.trigger

    def start(self) -> None:
        """As the daemon starts."""
        self.app.start()
        self.trigger("start")

    async def live(self, name: str, within: float = WITHIN) -> None:
        """Wait until the version ``name`` is live."""
        await until(lambda: self.live_name == name and self.world.routed_versions in ([name], []), within)

    @property
    def live_name(self) -> str | None:
        """The version that is live."""
        return next((running.name for running in self.app.live()), None)

    async def at_rest(self, within: float = WITHIN) -> None:
        """Wait until no handover is in progress or about to start."""

        def rests() -> bool:
            state = self.orchestrator.state
            return not state.attempts and state.requests.is_empty and not state.is_adopting

        await until(rests, within)

    def outcomes(self) -> list[tuple[str, str]]:
        """The handovers so far, each with its trigger and what became of it."""
        return [(record.trigger, record.outcome) for record in self.app.history]

    async def stop(self, within: float = WITHIN) -> None:
        """Stop it, which must finish in time."""
        stopping = Outcome(Deferred.fromCoroutine(self.app.stop()))
        await until(lambda: stopping.is_settled, within, lambda: f"the stop hangs: {self.orchestrator.state}")
        stopping.get()


async def until(
    holds: Callable[[], object], within: float = WITHIN, otherwise: Callable[[], str] = lambda: "it did not happen"
) -> None:
    """Wait until something holds, turn by turn of the reactor."""
    end = REACTOR.seconds() + within
    while not holds():
        if REACTOR.seconds() > end:
            raise AssertionError(f"not within {within} seconds: {otherwise()}")
        await sleep(REACTOR, 0.005)
