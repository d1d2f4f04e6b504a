"""The connections that the kernel tracks, by the program ``conntrack`` (of conntrack-tools)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Cooperator
from twisted.logger import Logger

from hanoverd.network.flows import LONGEST_LISTING, Endpoint, count_answered
from hanoverd.network.netlink import Reply, deletions
from hanoverd.network.quirks import is_not_permitted
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.capabilities import Keep
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import HanoverdError, ProgramMissing
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.ports import HostPort

log = Logger()

#: The shortest time between the starts of two listings, in seconds: each lists the connections of the whole host.
LISTING_INTERVAL = 1.0

#: A connection over which an answer may still come, with the address that answers it.  A client that has sent its whole
#: request and waits (half closed) is in FIN_WAIT or CLOSE_WAIT (nf_conntrack_proto_tcp.c).  A line reads
#: ``tcp 6 431999 ESTABLISHED src=CLIENT dst=HOST sport=... dport=... src=CONTAINER dst=CLIENT ...``.
_OPEN = re.compile(r" (?:SYN_RECV|ESTABLISHED|FIN_WAIT|CLOSE_WAIT) src=\S+ [^\n]*? src=(\S+)")

#: A connection over which nothing will come, with the fields of its answers.
_FINISHED = re.compile(r" (?:TIME_WAIT|CLOSE) src=[^\n]*? src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)")

#: A connection attempt that was refused or is not answered yet: where it was sent, and the fields of its answers.
_ATTEMPT = re.compile(
    r" (?:SYN_SENT|CLOSE) src=\S+ dst=(\S+) sport=\d+ dport=(\d+)[^\n]*? src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)"
)


@dataclass(frozen=True)
class _Open:
    """How many connections are open, by the address that answers them, and UDP flows, by the address and port."""

    connections: Mapping[str, int]
    flows: Mapping[Endpoint, int]


#: None where that cannot be known.
_Counts = _Open | None


class _Listing:
    """One run of ``conntrack -L``, which may not have started yet, and its waiters."""

    def __init__(self, work: Deferred[_Counts]) -> None:
        self.work = work
        self.outcome = Outcome(work)
        self.waiters = 0


class Conntrack:
    """Counts connections by the address that answers them, where ``conntrack`` can be run.

    The connections of a container that was stopped are not deleted here: the engine does that when it frees the
    container's address.  Later would be too late, because another container may have the address by then.
    ``interval`` is the shortest time between the starts of two listings, in seconds.  Flows of UDP are counted only with
    ``counts_udp``.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        environ: Mapping[str, str],
        interval: float = LISTING_INTERVAL,
        *,
        counts_udp: bool = False,
    ) -> None:
        self._reactor = reactor
        self._environ = environ
        self._interval = interval
        self._counts_udp = counts_udp
        self._cooperator = Cooperator(scheduler=lambda work: reactor.callLater(0, work))
        self._works = True
        self._report = ReportOnce(_warn)
        #: The listing that starts next, shared by all calls until then; and the one that started last.
        self._next: _Listing | None = None
        self._last: _Listing | None = None
        self._earliest_start = 0.0
        #: What the last listing that has ended had, and when it ended.
        self._seen: _Counts = None
        self._seen_at = 0.0

    async def check(self) -> None:
        """Check whether connections can be counted on this host, and log it once if not."""
        await self.count(())

    async def count(self, addresses: Collection[str], flows_of: Collection[Endpoint] = ()) -> int | None:
        """Return how many TCP connections to the container at ``addresses`` are open, and UDP flows that ``flows_of`` answer.

        None where that is unknown.  A UDP flow is open until it has been silent for a while (nf_conntrack-sysctl, udp_timeout).

        Connections through the engine's proxy count too, as the proxy's own connection to the container.  The listing
        starts after this call, at once or about an interval later, and serves all callers.  Cancel ends this wait; the
        cancel of the last caller ends the listing as well, and fires when its program has ended.
        """
        found = await self._list_with_others() if self._works else None
        if found is None:
            return None
        connections = sum(found.connections.get(address, 0) for address in set(addresses))
        return connections + sum(found.flows.get(endpoint, 0) for endpoint in set(flows_of))

    async def count_lately(self, addresses: Collection[str]) -> int | None:
        """Return how many TCP connections to the container at ``addresses`` are open, as ``count``, or were a moment ago.

        A listing that ended less than an interval ago is used again: who only looks should not wait for the next one.
        """
        found = self._seen if self._works else None
        if found is None or self._reactor.seconds() >= self._seen_at + self._interval:
            return await self.count(addresses)
        return sum(found.connections.get(address, 0) for address in set(addresses))

    async def forget_unanswered(self, addresses: Collection[str]) -> None:
        """Delete the connections that none of ``addresses`` has answered from the kernel's table.

        The kernel remembers a connection attempt to a container that has just exited for two minutes (nf_conntrack-sysctl,
        tcp_timeout_syn_sent), and would send the next attempt from the same port of the client there again.  A failure
        is logged.
        """
        for address in addresses:
            if self._works:
                command = ("conntrack", "-D", "-p", "tcp", "--reply-src", address, "--state", "SYN_SENT")
                try:
                    # Its exit status is 1 where there was none.
                    await run(self._reactor, command, self._environ, keep=Keep.EVERYTHING)
                except ProgramMissing as error:
                    self._give_up(str(error))
                except HanoverdError as error:
                    _warn_not_deleted(address, error)

    async def forget_finished(self, addresses: Collection[str]) -> None:
        """Delete the finished connections of ``addresses`` from the kernel's table, before the container is stopped.

        The kernel remembers each for two minutes (nf_conntrack-sysctl, tcp_timeout_time_wait).  When the engine frees a
        container's address, it lists them all, and then deletes them by the client's address and port.  A client that uses
        that port again in between would lose its new connection, which is another version's.  A failure is logged; without
        permission, as where hanoverd does not run as root, nothing is done.
        """
        for address in addresses:
            await self._delete(finished, address, "--reply-src", address)

    async def forget_misrouted(self, ports: Collection[HostPort], kept: Collection[str]) -> None:
        """Delete the connection attempts to ``ports`` that failed, or wait for an answer, at an address that is not ``kept``.

        While rules lead to a container that has exited, as when its rules cannot be removed or hanoverd does not run, the
        kernel remembers attempts to it for up to two minutes.  It would send the next attempt from the same port of the
        client there again, whatever the rules say then.  It fails as ``forget_finished`` does.
        """
        if ports:
            await self._delete(lambda listing: misrouted(listing, ports, kept), "published ports")

    async def _delete(self, find: Callable[[str], list[Reply]], to: str, *filters: str) -> None:
        """Delete the connections that ``find`` finds in a listing."""
        if not self._works:
            return
        command = ("conntrack", "-L", "-p", "tcp", *filters)
        try:
            ended = await run(self._reactor, command, self._environ, keep=Keep.EVERYTHING, limit=LONGEST_LISTING)
            await self._in_parts(deletions(find(ended.stdout)))
        except PermissionError:
            return
        except (HanoverdError, OSError) as error:
            _warn_not_deleted(to, error)

    async def _in_parts(self, work: Iterator[None]) -> None:
        """Run through ``work``, with turns of the reactor in between.  Cancel ends it."""
        task = self._cooperator.cooperate(work)
        try:
            await task.whenDone()
        except CancelledError:
            task.stop()
            raise

    # -- listings

    async def _list_with_others(self) -> _Counts:
        """Wait for the next listing with its other waiters."""
        listing = self._next_listing()
        listing.waiters += 1
        try:
            await listing.outcome.wait()
        finally:
            listing.waiters -= 1
            if not listing.waiters and not listing.outcome.is_settled:
                await self._abandon(listing)
        return listing.outcome.get()

    def _next_listing(self) -> _Listing:
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
        """List when the last listing has ended, and the interval since its start has passed."""
        if self._last is not None:
            await self._last.outcome.wait()
        # Never without a turn of the reactor: ``_next_listing`` has to store this listing first.
        await sleep(self._reactor, max(0.0, self._earliest_start - self._reactor.seconds()))
        self._last, self._next = self._next, None
        self._earliest_start = self._reactor.seconds() + self._interval
        self._seen = await self._list()
        self._seen_at = self._reactor.seconds()
        return self._seen

    async def _list(self) -> _Counts:
        try:
            command = ("conntrack", "-L") if self._counts_udp else ("conntrack", "-L", "-p", "tcp")
            ended = await run(self._reactor, command, self._environ, keep=Keep.EVERYTHING, limit=LONGEST_LISTING)
        except ProgramMissing as error:
            self._give_up(str(error))
            return None
        except HanoverdError as error:
            self._report(str(error))
            return None
        if ended.code != 0:
            reason = ended.stderr.strip() or f"exit status {ended.code}"
            if is_not_permitted(reason):
                self._give_up(reason)
            else:
                self._report(reason)
            return None
        self._report.reset()
        flows = count_answered(ended.stdout) if self._counts_udp else {}
        return _Open(count_open(ended.stdout), flows)

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


def _warn_not_deleted(address: str, error: Exception) -> None:
    log.warn(
        "conntrack: connections to {address} not deleted: {error}",
        event="connections_not_forgotten",
        address=address,
        error=error,
    )


def _warn(reason: str) -> None:
    # It may pass: the next count may succeed.
    log.warn("conntrack: connections not counted this time: {reason}", event="count_failed", reason=reason)


def count_open(listing: str) -> Mapping[str, int]:
    """Return how many TCP connections in the output of ``conntrack -L`` are open, by the address that answers them."""
    return Counter(_OPEN.findall(listing))


def finished(listing: str) -> list[Reply]:
    """Return the replies of the TCP connections in the output of ``conntrack -L`` that have ended."""
    return [Reply.parse(*fields) for fields in _FINISHED.findall(listing)]


def misrouted(listing: str, ports: Collection[HostPort], kept: Collection[str]) -> list[Reply]:
    """Return the replies of the attempts in the output of ``conntrack -L`` to ``ports`` that were sent to none of ``kept``.

    An attempt whose address was not translated is none of them: it was sent to the host itself, or through it.
    """
    found = []
    for target, port, *answers in _ATTEMPT.findall(listing):
        if answers[0] not in kept and answers[0] != target:
            wanted = HostPort(ip_address(target), int(port))
            if any(one.conflicts_with(wanted) for one in ports):
                found.append(Reply.parse(*answers))
    return found
