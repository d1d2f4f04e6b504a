"""``hanoverd diff`` with the options of a start: what they would change about the version that serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from hanoverd.cli.client.differences import DIFFERENT, SAME, as_json, plain, text, with_published
from hanoverd.cli.client.without_daemon import Host
from hanoverd.cli.process import INTERRUPTED
from hanoverd.daemons.connection import find_daemon
from hanoverd.deploy.preview import next_differences
from hanoverd.docker.address import engine_address
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.images.kinds import open_source
from hanoverd.images.wiring import ObtainReactor, make_pool, make_source_context
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.signals import handle_signals
from hanoverd.spec.differences import Difference
from hanoverd.spec.programs import DiffSpec


def run_diff(spec: DiffSpec, environ: Mapping[str, str], reactor: ObtainReactor) -> int:
    """Print what a start with these options would change; return the exit status, as that of diff(1).

    Runs the reactor.  Fails with ``HanoverdError``.
    """
    app = spec.app
    status, ports = _live(app.name, environ)
    pool = make_pool()
    engine = Engine(reactor, pool, engine_address(environ))
    source = open_source(app.source.name, make_source_context(app.source, app.name, environ, reactor, engine))
    source.check()
    result = _run(reactor, pool, next_differences(engine, status["version"], source, app.container))
    if result is None:
        return INTERRUPTED
    found = plain(result if ports is None else with_published(result, ports, app.ports))
    sys.stdout.write(as_json(found) if spec.json else text(status["version"], found))
    sys.stdout.flush()
    return DIFFERENT if found else SAME


def _run(
    reactor: ObtainReactor, pool: Pools, work: Coroutine[Deferred[Any], Any, tuple[Difference, ...]]
) -> tuple[Difference, ...] | None:
    """Run the reactor until ``work`` is done, and return its result; None if SIGINT or SIGTERM cancelled it.  Fails as it."""
    results: list[tuple[Difference, ...] | Failure] = []

    def begin() -> None:
        pool.start()
        working = Deferred.fromCoroutine(work)
        handle_signals(reactor, lambda: None, lambda _: working.cancel())
        working.addBoth(results.append)
        working.addBoth(lambda _: reactor.stop())

    reactor.callWhenRunning(begin)
    reactor.run()
    pool.stop()
    [result] = results
    if not isinstance(result, Failure):
        return result
    if not result.check(CancelledError):
        result.raiseException()
    return None


def _live(app: str, environ: Mapping[str, str]) -> tuple[Mapping[str, Any], list[Mapping[str, Any]] | None]:
    """Return the live version of an app, and its ports, None if they are unknown; fails with ``HanoverdError``."""
    daemon, problems = find_daemon(app, environ, os.geteuid())
    for problem in problems:
        sys.stderr.write(f"hanoverd: {problem}\n")
    if daemon is not None:
        status: Mapping[str, Any] = daemon.get("/status")
        is_known = True
    else:
        host = Host(environ)
        found = host.status(app)
        if found is None:
            raise ControlError(
                f"there is no app {app} to compare with: no hanoverd serves it, and it has no containers"
            )
        status, is_known = found.json(), not host.problem
    if status["live"] is None:
        raise ControlError(f"{app}: no version is live: the next handover starts one")
    return status["live"], list(status["ports"]) if is_known else None
