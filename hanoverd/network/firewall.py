"""The host's firewall, by the programs ``iptables-save`` and ``iptables-restore``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hanoverd.network.rules import Route, filled, leads_to, removed, what_is_wrong
from hanoverd.runtime.errors import FirewallError, HanoverdError, ProgramMissing, ProgramNotStarted
from hanoverd.runtime.processes import ProcessReactor, WaitingProgram, run, start_waiting

SAVE = ("iptables-save", "-t", "nat")

#: --wait: the legacy variant takes a lock of the whole system, which another may hold for a moment.
RESTORE = ("iptables-restore", "--noflush", "--wait", "5")


class Firewall:
    """The rules of one app.  All verbs fail with ``FirewallError``, ``ProgramMissing`` or ``ProgramNotStarted``."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str], app: str) -> None:
        self._reactor = reactor
        self._environ = environ
        self._app = app
        # What is wanted: the version that is routed to, and how; None for no rules.
        self._wanted: tuple[str, Sequence[Route]] | None = None
        # Whether rules may be there that are not wanted.
        self._is_dirty = False
        self._waiting: WaitingProgram | None = None

    def prepare(self) -> None:
        """Start the program that ``route`` needs, so that it waits for its input: the flip is then only the commit.

        A failure is none yet: ``route`` starts it itself then.
        """
        if self._waiting is not None and not self._waiting.has_ended:
            return
        try:
            self._waiting = start_waiting(self._reactor, RESTORE, self._environ)
        except (ProgramMissing, ProgramNotStarted):
            self._waiting = None

    async def abandon(self) -> None:
        """End what ``prepare`` started; fires when it has gone.  Idempotent."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            await waiting.abandon()

    async def route(self, version: str, routes: Sequence[Route]) -> None:
        """Route new connections along ``routes``, all at once, those of clients elsewhere and of clients here.

        Where it fails, the routes of before are in force: a commit that does not succeed changes nothing, and they are put
        back in case one did.  That the jumps to them are in place is ``repair``'s part, once they were made.
        """
        saved = None
        if self._wanted is None:
            saved = await self._save()
        try:
            await self._restore(filled(self._app, version, routes, saved))
        except ProgramNotStarted:
            raise
        except HanoverdError:
            self._is_dirty = True
            await self._put_back()
            raise
        self._wanted = (version, routes)

    async def repair(self) -> str | None:
        """Repair the rules; fires with what another program changed of those that are wanted, None if nothing."""
        if self._wanted is None:
            if self._is_dirty:
                await self.clear()
            return None
        saved = await self._save()
        wrong = what_is_wrong(self._app, *self._wanted, saved)
        if wrong is not None:
            await self._restore(filled(self._app, *self._wanted, saved))
        is_ours, self._is_dirty = self._is_dirty, False
        return None if is_ours else wrong

    async def found(self) -> tuple[str, str] | None:
        """The version that the rules lead to, and its address: those of an earlier run, too.  None without rules."""
        return leads_to(self._app, await self._save())

    async def clear(self) -> None:
        """Remove all of the app's rules and chains; idempotent.  Where it fails, ``repair`` does it."""
        self._wanted, self._is_dirty = None, True
        lines = removed(self._app, await self._save())
        if lines is not None:
            await self._restore(lines)
        self._is_dirty = False

    async def _put_back(self) -> None:
        try:
            if self._wanted is None:
                await self.clear()
            else:
                await self._restore(filled(self._app, *self._wanted))
        except HanoverdError:
            pass  # The first failure is the one to report; ``repair`` goes on.

    async def _save(self) -> str:
        ended = await run(self._reactor, SAVE, self._environ)
        if ended.code != 0:
            raise refusal("iptables-save", ended.code, ended.stderr)
        return ended.stdout

    async def _restore(self, lines: str) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.has_ended:
            waiting = start_waiting(self._reactor, RESTORE, self._environ)
        ended = await waiting.finish(lines)
        if ended.code != 0:
            raise refusal("iptables-restore", ended.code, ended.stderr)


def refusal(program: str, code: int, stderr: str) -> FirewallError:
    """What to tell of a firewall program that failed with exit status ``code``."""
    said = re.sub(r"\s+", " ", stderr).strip() or f"exit status {code}"
    return FirewallError(
        f"{program} failed: {said}. hanoverd must be allowed to change the firewall: run it as root, or put copies "
        "of iptables-restore and iptables-save with the capabilities cap_net_admin,cap_net_raw=+ep (setcap) first "
        "on PATH"
    )
