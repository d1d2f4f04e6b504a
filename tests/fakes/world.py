"""An app with everything that hanoverd makes of it, at the near side of a fake engine and a fake firewall."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from twisted.internet import process, reactor
from twisted.python.threadpool import ThreadPool

from hanoverd.adoption import Adoption
from hanoverd.concurrency.polling import pause
from hanoverd.departures import Departures
from hanoverd.discards import Discards
from hanoverd.edges.conntrack import Conntrack
from hanoverd.edges.engine import Engine
from hanoverd.edges.engine_address import EngineAddress
from hanoverd.edges.firewall import Firewall
from hanoverd.edges.health import Health
from hanoverd.edges.ports import HeldPort
from hanoverd.handover import Handovers
from hanoverd.hooks import Hooks
from hanoverd.kept import Keeper
from hanoverd.model.container import ContainerOptions
from hanoverd.model.history import History
from hanoverd.model.publish import Publish
from hanoverd.model.restart import RestartPolicy
from hanoverd.retirement import DrainOptions, Retirement
from hanoverd.sources.folder import FolderSource
from hanoverd.sources.registry import RegistrySource
from hanoverd.supervisor import Supervisor
from hanoverd.switch import Switch
from hanoverd.version import Versions
from tests.fakes.engine import FakeEngine
from tests.fakes.firewall import FakeFirewall
from tests.fakes.surroundings import surroundings
from tests.lab.images import write_app

REACTOR: Any = reactor
APP = "app"
PORT = 8472


class World:
    """Begin with the constructor, end with ``close``, which fails where anything was left behind."""

    def __init__(self, *, overlap: bool = True, drain: float = 0.0, kept: int = 0) -> None:
        self._threads = set(threading.enumerate())
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.app_folder = folder / "app"
        self.write_app()
        self.engine = FakeEngine(folder)
        self.engine.start()
        self.firewall = FakeFirewall(folder)
        self._pool = ThreadPool(0, 50)
        self._pool.start()
        engine = Engine(REACTOR, self._pool, EngineAddress(f"unix://{self.engine.socket}", None, "the test"))
        self.versions = Versions(REACTOR, engine, Health(REACTOR, "/"), APP, ContainerOptions(ports=[PORT]), 1.0)
        ports = [HeldPort(Publish(None, range(8080, 8081), PORT), 8080, None)]
        self.switch = Switch(Firewall(REACTOR, self.firewall.environ, APP), ports)
        self.discards = Discards(REACTOR, self.versions)
        self.keeper = Keeper(engine, self.versions, kept)
        self.history = History(time.time, REACTOR.seconds)
        around = surroundings(REACTOR, engine, self.app_folder, APP)
        self.handovers = Handovers(
            REACTOR,
            FolderSource(".", around),
            lambda reference: RegistrySource(reference, around),
            self.versions,
            self.switch,
            self.keeper,
            self.discards,
            lambda _line: None,
            Hooks(REACTOR, {}),
            overlap=overlap,
        )
        conntrack = Conntrack(REACTOR, self.firewall.environ)
        options = DrainOptions(drain, drain, None)
        self.retirement = Retirement(REACTOR, engine, conntrack, self.versions, self.keeper, options)
        self.supervisor = Supervisor(
            REACTOR,
            Adoption(engine, APP, self.versions, self.switch),
            self.versions,
            self.switch,
            self.handovers,
            Departures(APP, self.switch, self.retirement, self.keeper, Hooks(REACTOR, {})),
            self.keeper,
            self.discards,
            conntrack,
            RestartPolicy("no"),
            Hooks(REACTOR, {}),
            self.history,
            keep=False,
            settle=0.0,
        )

    def write_app(self, **env: str) -> None:
        """Have the next build make an app with this environment."""
        write_app(self.app_folder, expose=[PORT], env=env)

    @property
    def leads_to(self) -> list[str]:
        """The versions that the rules name, each once."""
        return sorted({rule.split('"')[1].removeprefix("hanoverd: ") for rule in self.firewall.rules() if '"' in rule})

    def state(self) -> tuple[list[str], list[str], list[str]]:
        """The containers that there are, those that run, and the versions that the rules lead to."""
        return sorted(self.engine.containers), self.engine.running(), self.leads_to

    async def close(self) -> None:
        """Remove what is there by right; AssertionError for what is left all the same."""
        try:
            await self.switch.out()
            for name in list(self.engine.containers):
                await self.versions.remove(name)
            await self.discards.close()
        finally:
            self._pool.stop()
            self.engine.stop()
        left: list[object] = [*self.engine.containers, *self.firewall.rules(), *process.reapProcessHandlers]
        left += set(threading.enumerate()) - self._threads
        # Sockets close a turn later, at most.
        for _ in range(3):
            await pause(REACTOR, 0)
        # All but the time limit of the test itself.
        left += [call for call in REACTOR.getDelayedCalls() if "trial" not in call.func.__module__]
        self._folder.cleanup()
        assert left == [], f"left behind: {left}"
