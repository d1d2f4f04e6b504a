"""The firewall's rules of an app for one family of addresses, by ``iptables-save`` and ``iptables-restore``, or ``ip6tables-``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.logger import Logger

from hanoverd.network.iptables import FILTER, NAT, Table, parse_table
from hanoverd.network.iptables_commands import firewall_error, restore_command, save_command
from hanoverd.network.passage import plan_passage
from hanoverd.network.route import Route
from hanoverd.network.rules import (
    RoutedVersion,
    are_engine_rules_gone,
    find_problem,
    plan_removal,
    plan_restoring,
    plan_routes,
    routed_version,
)
from hanoverd.runtime.capabilities import Keep
from hanoverd.runtime.errors import HanoverdError, ProgramMissing, ProgramNotStarted
from hanoverd.runtime.processes import ProcessReactor, WaitingProgram, run, start_waiting
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import Family

log = Logger()

#: The table ``filter`` is checked at each so many calls of ``repair``: what other programs do there rarely matters to an app.
_FILTER_EVERY = 5

_ENGINE_RULES_GONE = (
    "Docker's own rules in the table nat are gone too, and Docker adds them only when it starts: until then, containers may not "
    "reach other hosts or other networks"
)


class FamilyFirewall:
    """The rules of one app.  All methods fail with ``FirewallError``, ``ProgramMissing`` or ``ProgramNotStarted``."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str], app: str, family: Family) -> None:
        self._reactor = reactor
        self._environ = environ
        self._app = app
        self._family = family
        # The version that is routed to, and its routes; None for no rules.
        self.wanted: tuple[str, Sequence[Route]] | None = None
        # The networks of the versions that have been live: connections to them pass, also while they drain.
        self._networks: frozenset[str] = frozenset()
        # Whether a change of ours failed, so that the rules may not be the wanted ones.
        self._is_dirty = False
        self._waiting: WaitingProgram | None = None
        self._checks = 0
        self._report = ReportOnce(_warn_no_passage)

    def prepare(self) -> None:
        """Start the program that ``route`` needs, so that it waits for its input: the flip is then only the commit.

        Where that fails, ``route`` starts the program itself.
        """
        if self._waiting is not None and not self._waiting.has_ended:
            return
        try:
            self._waiting = start_waiting(self._reactor, restore_command(self._family), self._environ)
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
        if self.wanted is None:
            table = await self._save()
        networks = self._networks | {route.network for route in routes if route.network}
        if networks != self._networks:
            self._networks = networks
            await self._let_pass()
        try:
            await self._restore(plan_routes(self._app, version, routes, table))
        except ProgramNotStarted:
            raise
        except HanoverdError:
            await self._restore_previous(table)
            raise
        self.wanted = (version, routes)

    async def repair(self) -> str | None:
        """Repair the rules; fires with what another program changed of them, None if nothing."""
        if self.wanted is None:
            if self._is_dirty:
                await self.clear()
            return None
        self._checks += 1
        if self._checks % _FILTER_EVERY == 0:
            await self._let_pass()
        table = await self._save()
        problem = find_problem(self._app, *self.wanted, table)
        if problem is not None:
            await self._restore(plan_routes(self._app, *self.wanted, table))
            if are_engine_rules_gone(table):
                problem += f"; {_ENGINE_RULES_GONE}"
        is_ours, self._is_dirty = self._is_dirty, False
        return None if is_ours else problem

    async def routed_version(self) -> RoutedVersion | None:
        """Return the version that the rules route to, which an earlier run may have made; None without rules."""
        return routed_version(self._app, await self._save())

    async def clear(self) -> None:
        """Remove all of the app's rules and chains; idempotent.  Where it fails, ``repair`` retries it."""
        self.wanted, self._networks, self._is_dirty = None, frozenset(), True
        changes = plan_removal(self._app, await self._save())
        if changes is not None:
            await self._restore(changes)
        await self._let_pass()
        self._is_dirty = False

    async def _let_pass(self) -> None:
        """Let connections to published ports pass between the engine's networks.  A failure is logged."""
        try:
            changes = plan_passage(self._app, self._networks, await self._save(FILTER))
            if changes is not None:
                waiting = start_waiting(self._reactor, restore_command(self._family), self._environ)
                await self._finish(waiting, changes)
        except HanoverdError as error:
            self._report(str(error))
        else:
            self._report.reset()

    async def _restore_previous(self, table: Table | None) -> None:
        """Restore the routes as they were before a change that failed; ``table`` is from before the first change."""
        try:
            if self.wanted is not None:
                self._is_dirty = True
                await self._restore(plan_routes(self._app, *self.wanted))
            elif table is not None and routed_version(self._app, table) is not None:
                # The rules of an earlier run: the app serves by them, so ``repair`` must not remove them.
                await self._restore(plan_restoring(self._app, table))
            else:
                await self.clear()
        except HanoverdError:
            pass  # The first failure is the one to report; ``repair`` retries.

    async def _save(self, table: str = NAT) -> Table:
        command = save_command(self._family, table)
        ended = await run(self._reactor, command, self._environ, keep=Keep.EVERYTHING)
        if ended.code != 0:
            raise firewall_error(command[0], ended.code, ended.stderr)
        return parse_table(ended.stdout, table, self._family)

    async def _restore(self, changes: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.has_ended:
            waiting = start_waiting(self._reactor, restore_command(self._family), self._environ)
        await self._finish(waiting, changes)

    async def _finish(self, waiting: WaitingProgram, changes: str) -> None:
        ended = await waiting.finish(changes)
        if ended.code != 0:
            raise firewall_error(restore_command(self._family)[0], ended.code, ended.stderr)


def _warn_no_passage(reason: str) -> None:
    log.warn(
        "firewall: containers on other Docker networks cannot reach the published ports: {reason}",
        event="no_passage",
        reason=reason,
    )
