"""Apps that serve without a running daemon: found by their containers and rules, and ended.

An app continues to serve when its daemon was killed, or stopped with ``--on-exit keep``.  All of this blocks.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from hanoverd import __version__
from hanoverd.api.status import NO_DAEMON, AppStatus, LiveStatus, VersionStatus, listed_version
from hanoverd.docker.abort import Abort
from hanoverd.docker.access import TrustedUsers
from hanoverd.docker.address import engine_address
from hanoverd.docker.api import choose_api_version
from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.docker.inspection import addresses_of, generation_of, network_mode_of
from hanoverd.network.blocking_firewall import read_table, remove_rules
from hanoverd.network.iptables import Table, parse_table
from hanoverd.network.name_lock import is_name_locked, lock_name
from hanoverd.network.route import Route
from hanoverd.network.rules import published_ports, routed_version
from hanoverd.runtime.errors import ControlError, HanoverdError, NameTaken, NotFound
from hanoverd.runtime.sockets import runtime_folder
from hanoverd.spec.container import APP, ORCHESTRATOR, app_label
from hanoverd.spec.names import is_kept
from hanoverd.spec.ports import LOOPBACK, Family
from hanoverd.spec.reachability import Reachability

#: The stop timeout of a container that has none of its own, in seconds, as Docker's.
DEFAULT_STOP_TIMEOUT = 10

_MOST_STOPS_AT_ONCE = 20


class Host:
    """The engine and the firewall of this host.

    Making one fails with the ``EngineError`` family where no engine answers.  ``problem`` says why the firewall's rules are
    unknown: reading them needs root.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._folder = runtime_folder(environ, os.geteuid())
        self._trusted = TrustedUsers(environ)
        self._address = engine_address(environ)
        self._api_version = choose_api_version(BlockingEngine(self._address, "1.24", Abort()).version())
        self._engine = self._make_engine()
        self.problem = ""

    def serving(self, with_daemon: Collection[str]) -> list[AppStatus]:
        """Return the apps that serve without a daemon; ``with_daemon`` are the apps that have one."""
        containers: dict[str, list[Mapping[str, Any]]] = {}
        for one in self._engine.containers_with(f"{ORCHESTRATOR}=hanoverd"):
            containers.setdefault((one["Labels"] or {}).get(APP, ""), []).append(one)
        apps = [
            app
            for app in sorted(containers)
            if app
            and app not in with_daemon
            and any(map(_is_serving, containers[app]))
            and not is_name_locked(app, self._folder, self._trusted)
        ]
        if not apps:
            return []
        table = self._table()
        return [_status(app, containers[app], table) for app in apps]

    def status(self, app: str) -> AppStatus | None:
        """Return the status of an app without a daemon, None if it has no containers."""
        containers = self._engine.containers_with(app_label(app))
        return _status(app, containers, self._table()) if containers else None

    def versions(self, app: str) -> list[VersionStatus]:
        """Return the versions of an app without a daemon, the newest first."""
        containers = self._engine.containers_with(app_label(app))
        live = _status(app, containers, self._table()).live
        number = None if live is None else live.number
        found = [listed_version(app, one, _state(one, number)) for one in containers if _number(one) >= 0]
        return sorted(found, key=lambda one: -one.number)

    def end(self, app: str) -> list[str]:
        """Remove the routes of an app, then stop and remove its containers; return what was removed, for people.

        Holds the app's name meanwhile.  Fails with ``ControlError`` if a daemon holds it, and with ``HanoverdError``.
        """
        try:
            lock = lock_name(app, self._folder, self._trusted)
        except NameTaken:
            raise ControlError(
                f"a hanoverd that serves {app} runs, but its socket was not found: stop it as its own user, or with its "
                "HANOVERD_RUNTIME_DIR"
            ) from None
        with closing(lock):
            removed = self._unroute(app)
            containers = self._engine.containers_with(app_label(app))
            with ThreadPoolExecutor(_MOST_STOPS_AT_ONCE) as threads:
                removed += threads.map(self._end, containers)
        return removed

    def _unroute(self, app: str) -> list[str]:
        removed = [remove_rules(self._environ, app, family) for family in Family]
        return ["its routes"] if any(removed) else []

    def _end(self, listed: Mapping[str, Any]) -> str:
        # In a thread of its own.
        engine = self._make_engine()
        try:
            timeout = engine.inspect_container(listed["Id"])["Config"].get("StopTimeout")
            engine.stop(listed["Id"], DEFAULT_STOP_TIMEOUT if timeout is None else timeout)
        except NotFound:
            pass
        engine.remove(listed["Id"])
        return _name(listed)

    def _make_engine(self) -> BlockingEngine:
        return BlockingEngine(self._address, self._api_version, Abort())

    def _table(self) -> Table:
        try:
            return read_table(self._environ)
        except HanoverdError as error:
            self.problem = str(error)
            return parse_table("")


def remove_files(files: Iterable[Path]) -> None:
    """Remove what an ended daemon left in its runtime folder."""
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            continue  # Another user's: it is that user's to remove.


def _status(app: str, containers: Collection[Mapping[str, Any]], table: Table) -> AppStatus:
    """Return the status of an app by its containers.

    The rules say which version is live; without rules it is the newest one that runs.
    """
    running = [one for one in containers if _is_serving(one)]
    routed = routed_version(app, table)
    found = next(
        (one for one in running if routed is not None and routed.address in addresses_of(one)),
        max(running, key=_number, default=None),
    )
    live, ports = None, []
    if found is not None:
        version = listed_version(app, found, "live")
        address = next(iter(addresses_of(found)), _shared_address(found))
        live = LiveStatus(**vars(version), address=address, since=version.created)
        ports = [Route(port, address, None).json() for port in published_ports(app, table)]
    return AppStatus(
        app=app,
        state=NO_DAEMON,
        live=live,
        ports=tuple(ports),
        draining=tuple(_name(one) for one in running if one is not found),
        handover=None,
        paused=False,
        held=(),
        held_count=0,
        kept=tuple(listed_version(app, one, "kept") for one in containers if is_kept(_name(one))),
        repairs=0,
        pid=None,
        hanoverd=__version__,
    )


def _shared_address(listed: Mapping[str, Any]) -> str:
    """Return the address of a container that has none of its own; empty where that is not known."""
    return str(LOOPBACK) if Reachability.of(network_mode_of(listed)) is Reachability.HOST else ""


def _state(listed: Mapping[str, Any], live: int | None) -> str:
    if is_kept(_name(listed)):
        return "kept"
    if not _is_serving(listed):
        return "stopped"
    return "live" if _number(listed) == live else "draining"


def _is_serving(listed: Mapping[str, Any]) -> bool:
    return _number(listed) >= 0 and listed["State"] in ("running", "paused")


def _number(listed: Mapping[str, Any]) -> int:
    return generation_of(listed["Labels"])


def _name(listed: Mapping[str, Any]) -> str:
    return str(listed["Names"][0]).lstrip("/")
