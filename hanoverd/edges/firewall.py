"""The host's firewall, by the programs ``iptables-save`` and ``iptables-restore``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from hanoverd.concurrency.processes import ProcessReactor, run
from hanoverd.errors import FirewallError
from hanoverd.model.rules import Route, filled, jumps_are_right, leads_to, removed, what_is_wrong

SAVE = ("iptables-save", "-t", "nat")

#: --wait: the legacy variant takes a lock of the whole system, which another may hold for a moment.
RESTORE = ("iptables-restore", "--noflush", "--wait", "5")


class Firewall:
    """The rules of one app.  All verbs fail with ``FirewallError`` or ``ProgramMissing``."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str], app: str) -> None:
        self._reactor = reactor
        self._environ = environ
        self._app = app
        # The version that is led to, and how; None before the first flip.
        self._in_force: tuple[str, Sequence[Route]] | None = None

    async def lead(self, version: str, routes: Sequence[Route]) -> None:
        """Lead new connections to ``routes``, all at once, those of clients elsewhere and of clients here.

        Where it fails, the routes of before are in force: a commit that does not succeed changes nothing, and
        what they were is put back in case one did.
        """
        try:
            if self._in_force is not None:
                # At once.  The jumps, which nobody should have touched, are looked at only then.
                await self._restore(filled(self._app, version, routes))
            saved = await self._save()
            if self._in_force is None or not jumps_are_right(self._app, saved):
                await self._restore(filled(self._app, version, routes, saved))
        except FirewallError:
            await self._put_back()
            raise
        self._in_force = (version, routes)

    async def mend(self) -> str | None:
        """Put right what somebody else changed of the rules that are in force; fires with what it was, None if nothing."""
        if self._in_force is None:
            return None
        saved = await self._save()
        wrong = what_is_wrong(self._app, *self._in_force, saved)
        if wrong is not None:
            await self._restore(filled(self._app, *self._in_force, saved))
        return wrong

    async def leads_to(self) -> tuple[str, str] | None:
        """The version that the rules lead to, and its address: those of an earlier run, too.  None without rules."""
        return leads_to(self._app, await self._save())

    async def clear(self) -> None:
        """Take out all of the app's rules and chains; idempotent."""
        lines = removed(self._app, await self._save())
        if lines is not None:
            await self._restore(lines)
        self._in_force = None

    async def _put_back(self) -> None:
        if self._in_force is None:
            return
        try:
            await self._restore(filled(self._app, *self._in_force))
        except FirewallError:
            pass  # The first failure is the one to tell; a commit that failed has changed nothing either.

    async def _save(self) -> str:
        ended = await run(self._reactor, SAVE, self._environ)
        if ended.code != 0:
            raise refusal("iptables-save", ended.code, ended.stderr)
        return ended.stdout

    async def _restore(self, lines: str) -> None:
        ended = await run(self._reactor, RESTORE, self._environ, lines)
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
