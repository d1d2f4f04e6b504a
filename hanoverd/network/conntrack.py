"""The connections that the kernel tracks, by the program ``conntrack`` (of conntrack-tools)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HanoverdError, ProgramMissing
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.runtime.report_once import ReportOnce

log = Logger()

#: The least time between the starts of two listings, in seconds: they list the connections of the whole host.
LISTING_EVERY = 1.0

#: A connection over which an answer may still come, with the address that answers it.  A client that has said all it
#: wants to say and waits (half closed) is in FIN_WAIT or CLOSE_WAIT (nf_conntrack_proto_tcp.c).  A line reads
#: ``tcp 6 431999 ESTABLISHED src=CLIENT dst=HOST sport=... dport=... src=CONTAINER dst=CLIENT ...``.
_UNDER_WAY = re.compile(r" (?:SYN_RECV|ESTABLISHED|FIN_WAIT|CLOSE_WAIT) src=\S+ [^\n]*? src=(\S+)")

#: How conntrack reports EPERM (err2str in conntrack.c); its exit status is 1 for every failure.
_NOT_PERMITTED = re.compile("CAP_NET_ADMIN|Operation not permitted")


#: How many connections are under way, by the address that answers them; None where that cannot be known.
_Counts = Mapping[str, int] | None


class _Listing:
    """One run of ``conntrack -L``, which may not have started yet, for all who wait for it."""

    def __init__(self, work: Deferred[_Counts]) -> None:
        self.work = work
        self.outcome = Outcome(work)
        self.waiters = 0


class Conntrack:
    """Counts connections by the address that answers them, where ``conntrack`` can be run.

    What a container that was stopped leaves behind need not be deleted here: the engine does it when it takes the
    container's address back, and later would be too late, for the address may already be another's.
    """

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._environ = environ
        self._works = True
        self._report = ReportOnce(_warn)
        #: The listing that starts next, which all who ask until then share; and the one that started last.
        self._next: _Listing | None = None
        self._last: _Listing | None = None
        self._earliest_start = 0.0

    async def probe(self) -> None:
        """Find out whether connections can be counted here, and log it once if not."""
        await self.count(())

    async def count(self, addresses: Collection[str]) -> int | None:
        """Return how many TCP connections to the container at ``addresses`` are under way; None: cannot be known now.

        Those that came through the engine's proxy count too: its own connection to the container does.  The kernel is
        asked after this call, at once or up to about ``LISTING_EVERY`` seconds later, for all callers together.  A cancel
        frees this caller; that of the last caller ends the listing too, and fires when it is gone.
        """
        if not self._works:
            return None
        listing = self._join()
        listing.waiters += 1
        try:
            await listing.outcome.wait()
        finally:
            listing.waiters -= 1
            if not listing.waiters and not listing.outcome.is_settled:
                await self._abandon(listing)
        found = listing.outcome.get()
        return None if found is None else sum(found.get(address, 0) for address in set(addresses))

    async def forget_unanswered(self, addresses: Collection[str]) -> None:
        """Have the kernel forget the connections that none of ``addresses`` has ever answered.

        What a client has begun with a container that has just died is remembered for two minutes (nf_conntrack-sysctl,
        tcp_timeout_syn_sent), and would lead whoever happens to get the same port of the client there again.  A failure
        is logged.
        """
        for address in addresses:
            if self._works:
                command = ("conntrack", "-D", "-p", "tcp", "--reply-src", address, "--state", "SYN_SENT")
                try:
                    # Its exit status is 1 where there was none.
                    await run(self._reactor, command, self._environ)
                except ProgramMissing as error:
                    self._give_up(str(error))
                except HanoverdError as error:
                    log.warn(
                        "conntrack: unanswered connections to {address} not deleted: {error}",
                        event="connections_not_forgotten",
                        address=address,
                        error=error,
                    )

    # -- listings

    def _join(self) -> _Listing:
        """Return the listing that starts next."""
        if self._next is None:
            self._next = _Listing(Deferred.fromCoroutine(self._list_in_turn()))
        return self._next

    async def _abandon(self, listing: _Listing) -> None:
        if self._next is listing:
            self._next = None
        listing.work.cancel()
        await shielded(listing.outcome.wait())

    async def _list_in_turn(self) -> _Counts:
        """List when the last listing is over, and ``LISTING_EVERY`` seconds have passed since its start."""
        if self._last is not None:
            await self._last.outcome.wait()
        # Never without a turn of the reactor: ``_join`` has to note first what this is.
        await sleep(self._reactor, max(0.0, self._earliest_start - self._reactor.seconds()))
        self._last, self._next = self._next, None
        self._earliest_start = self._reactor.seconds() + LISTING_EVERY
        return await self._list()

    async def _list(self) -> _Counts:
        try:
            ended = await run(self._reactor, ("conntrack", "-L", "-p", "tcp"), self._environ)
        except ProgramMissing as error:
            self._give_up(str(error))
            return None
        except HanoverdError as error:
            self._report(str(error))
            return None
        if ended.code != 0:
            reason = ended.stderr.strip() or f"exit status {ended.code}"
            if _NOT_PERMITTED.search(reason):
                self._give_up(reason)
            else:
                self._report(reason)
            return None
        self._report.reset()
        return under_way(ended.stdout)

    def _give_up(self, reason: str) -> None:
        if self._works:
            log.warn(
                "conntrack: cannot count connections, so each old version drains for the whole --drain-timeout: {reason}. "
                "Run hanoverd as root and install the package conntrack, or put a copy of conntrack with the "
                "capability cap_net_admin=+ep (setcap) first on PATH",
                event="conntrack_unavailable",
                reason=reason,
            )
        self._works = False


def _warn(reason: str) -> None:
    # A failure of the moment: the next count may succeed.
    log.warn("conntrack: connections not counted this time: {reason}", event="count_failed", reason=reason)


def under_way(listing: str) -> Mapping[str, int]:
    """Count the TCP connections in the output of ``conntrack -L`` over which an answer may still come, by the address that
    answers them.
    """
    return Counter(_UNDER_WAY.findall(listing))
