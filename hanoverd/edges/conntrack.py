"""The connections that the kernel tracks, by the program ``conntrack`` (of conntrack-tools)."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.logger import Logger

from hanoverd.concurrency.processes import ProcessReactor, run
from hanoverd.errors import ProgramMissing

log = Logger()

#: The states of a connection over which an answer may still come: a client that has said all it wants to say
#: and waits (half closed) is in FIN_WAIT or CLOSE_WAIT (nf_conntrack_proto_tcp.c).
UNDER_WAY = frozenset({"SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT"})


class Conntrack:
    """Counts connections by the address that answers them, where ``conntrack`` can be run.

    What a container that was stopped leaves behind need not be deleted here: the engine does it when it takes the
    container's address back, and later would be too late, for the address may already be another's.
    """

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        self._environ = environ
        self._works = True
        self._has_worked = False

    async def probe(self) -> None:
        """Find out whether connections can be counted here, and say it once if not."""
        await self.count("127.0.0.1")

    async def count(self, address: str) -> int | None:
        """How many TCP connections to the container at ``address`` are under way; None: cannot be known here.

        Those that came through the engine's proxy count too: its own connection to the container does.
        """
        if not self._works:
            return None
        try:
            ended = await run(self._reactor, ("conntrack", "-L", "-p", "tcp", "--reply-src", address), self._environ)
        except ProgramMissing as error:
            self._give_up(str(error))
            return None
        if ended.code != 0:
            # Once it has worked, a failure is one of the moment: the next count may succeed.
            if not self._has_worked:
                self._give_up(ended.stderr.strip() or f"exit status {ended.code}")
            return None
        self._has_worked = True
        return under_way(ended.stdout)

    async def forget_unanswered(self, address: str) -> None:
        """Have the kernel forget the connections that ``address`` has never answered.

        What a client has begun with a container that has just died is remembered for two minutes (nf_conntrack-sysctl,
        tcp_timeout_syn_sent), and would lead whoever happens to get the same port of the client there again.
        """
        if self._works:
            command = ("conntrack", "-D", "-p", "tcp", "--reply-src", address, "--state", "SYN_SENT")
            try:
                # Its exit status is 1 where there was none.
                await run(self._reactor, command, self._environ)
            except ProgramMissing as error:
                self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        self._works = False
        log.warn(
            "connections cannot be counted, so an old version always gets the whole drain timeout: {reason}. Run "
            "hanoverd as root with the package conntrack installed, or put a copy of conntrack with the capability "
            "cap_net_admin=+ep (setcap) first on PATH",
            reason=reason,
        )


def under_way(listing: str) -> int:
    """The number of TCP connections in the output of ``conntrack -L`` over which an answer may still come.

    A line reads ``tcp 6 431999 ESTABLISHED src=... dst=... ...``.
    """
    return sum(1 for line in listing.splitlines() if UNDER_WAY & set(line.split()[3:4]))
