"""The host's firewall, by the programs ``iptables-save`` and ``iptables-restore``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hanoverd.network.iptables import NAT, Table, parse_table
from hanoverd.network.rules import (
    Route,
    RoutedVersion,
    find_problem,
    plan_removal,
    plan_restoring,
    plan_routes,
    routed_version,
)
from hanoverd.runtime.capabilities import Keep
from hanoverd.runtime.errors import FirewallError, HanoverdError, ProgramMissing, ProgramNotStarted
from hanoverd.runtime.processes import ProcessReactor, WaitingProgram, run, start_waiting

SAVE = ("iptables-save", "-t", NAT)

RESTORE = (
    "iptables-restore",
    # Leave all other rules of the table as they are.
    "--noflush",
    # The legacy variant takes a lock of the whole system, which another program may hold for a moment (seconds).
    "--wait",
    "5",
)


class Firewall:
    """The rules of one app.  All methods fail with ``FirewallError``, ``ProgramMissing`` or ``ProgramNotStarted``."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str], app: str) -> None:
        self._reactor = reactor
        self._environ = environ
        self._app = app
        # The version that is routed to, and its routes; None for no rules.
        self._wanted: tuple[str, Sequence[Route]] | None = None
        # Whether a change of ours failed, so that the rules may not be the wanted ones.
        self._is_dirty = False
        self._waiting: WaitingProgram | None = None

    def prepare(self) -> None:
        """Start the program that ``route`` needs, so that it waits for its input: the flip is then only the commit.

        Where that fails, ``route`` starts the program itself.
        """
        if self._waiting is not None and not self._waiting.has_ended:
            return
        try:
            self._waiting = start_waiting(self._reactor, RESTORE, self._environ)
        except (ProgramMissing, ProgramNotStarted):
            self._waiting = None

    async def abandon(self) -> None:
        """End the program that ``prepare`` started; fires when it has ended.  Idempotent."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.abandon()

    async def route(self, version: str, routes: Sequence[Route]) -> None:
        """Route new connections along ``routes``, all at once, for clients elsewhere and on this host.

        Where it fails, the previous routes are in force, also the routes of an earlier run: a commit that fails changes nothing,
        and they are restored in case it did.  The first call inserts the jumps to the app's chains; after that, ``repair``
        keeps them in place.
        """
        table = None
        if self._wanted is None:
            table = await self._save()
        try:
            await self._restore(plan_routes(self._app, version, routes, table))
        except ProgramNotStarted:
            raise
        except HanoverdError:
            await self._restore_previous(table)
            raise
        self._wanted = (version, routes)

    async def repair(self) -> str | None:
        """Repair the rules; fires with what another program changed of them, None if nothing."""
        if self._wanted is None:
            if self._is_dirty:
                await self.clear()
            return None
        table = await self._save()
        problem = find_problem(self._app, *self._wanted, table)
        if problem is not None:
            await self._restore(plan_routes(self._app, *self._wanted, table))
        is_ours, self._is_dirty = self._is_dirty, False
        return None if is_ours else problem

    async def routed_version(self) -> RoutedVersion | None:
        """Return the version that the rules route to, which an earlier run may have made; None without rules."""
        return routed_version(self._app, await self._save())

    async def clear(self) -> None:
        """Remove all of the app's rules and chains; idempotent.  Where it fails, ``repair`` retries it."""
        self._wanted, self._is_dirty = None, True
        changes = plan_removal(self._app, await self._save())
        if changes is not None:
            await self._restore(changes)
        self._is_dirty = False

    async def _restore_previous(self, table: Table | None) -> None:
        """Restore the routes as they were before a change that failed; ``table`` is from before the first change."""
        try:
            if self._wanted is not None:
                self._is_dirty = True
                await self._restore(plan_routes(self._app, *self._wanted))
            elif table is not None and routed_version(self._app, table) is not None:
                # The rules of an earlier run: the app serves by them, so ``repair`` must not remove them.
                await self._restore(plan_restoring(self._app, table))
            else:
                await self.clear()
        except HanoverdError:
            pass  # The first failure is the one to report; ``repair`` retries.

    async def _save(self) -> Table:
        ended = await run(self._reactor, SAVE, self._environ, keep=Keep.EVERYTHING)
        if ended.code != 0:
            raise firewall_error("iptables-save", ended.code, ended.stderr)
        return parse_table(ended.stdout)

    async def _restore(self, changes: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.has_ended:
            waiting = start_waiting(self._reactor, RESTORE, self._environ)
        ended = await waiting.finish(changes)
        if ended.code != 0:
            raise firewall_error("iptables-restore", ended.code, ended.stderr)


def firewall_error(program: str, code: int, stderr: str) -> FirewallError:
    """Return the error for a firewall program that failed with exit status ``code``."""
    reason = re.sub(r"\s+", " ", stderr).strip() or f"exit status {code}"
    return FirewallError(
        f"{program} failed: {reason}. hanoverd must be allowed to change the firewall: run it as root, or put copies "
        "of iptables-restore and iptables-save with the capabilities cap_net_admin,cap_net_raw=+ep (setcap) first "
        "on PATH"
    )
