"""Many daemons on one engine that hand over at the same time, under load; each has an app and clients of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Any

from tests.lab.clients import Clients
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import write_app

#: The port of the first app.
FIRST_PORT = 8000


@dataclass(frozen=True)
class Member:
    """One daemon of the crowd."""

    app: str
    port: int
    hanoverd: Daemon


@dataclass(frozen=True)
class Outcome:
    """What happened to one app: the seconds of each handover and of its flip, and what each client counted."""

    member: Member
    handovers: Sequence[float]
    flips: Sequence[float]
    counted: Sequence[dict[str, Any]]

    @property
    def requests(self) -> int:
        """How many requests the clients sent."""
        return sum(int(counts["requests"]) for counts in self.counted)

    @property
    def lost(self) -> int:
        """How many of them got no good answer."""
        return self.requests - sum(int(counts["ok"]) for counts in self.counted)

    @property
    def errors(self) -> list[str]:
        """The first failures."""
        return [error for counts in self.counted for error in counts["errors"]]

    @property
    def answered(self) -> set[str]:
        """The names of the containers that answered."""
        return {name for counts in self.counted for name in counts["versions"]}


@contextmanager
def crowd(lab: Lab, folder: Path, number: int, within: float) -> Iterator[list[Member]]:
    """Run so many daemons, started at the same time; their apps are live when this yields.

    ``within`` is how long that may take, in seconds. At the end, all are stopped at the same time.
    """
    with ExitStack() as stack:
        members = []
        for port in range(FIRST_PORT, FIRST_PORT + number):
            app = f"crowd{port}"
            write_app(folder / app)
            hanoverd = stack.enter_context(Daemon(lab, ["-p", f"{port}:80"], folder / app))
            members.append(Member(app, port, hanoverd))
        for member in members:
            member.hanoverd.wait_live(f"{member.app}-0", timeout=within)
        yield members
        for member in members:
            member.hanoverd.signal(SIGTERM)


def hand_over_together(lab: Lab, members: Sequence[Member], waves: int, pause: float, within: float) -> list[Outcome]:
    """Have all members hand over at the same time, ``waves`` times, while clients on both hosts ask each of them.

    Each client sends a request on a new connection every ``pause`` seconds. A wave begins when all versions of the one before
    are live, while the replaced ones still drain and stop; it may take ``within`` seconds.
    """
    clients = [
        [
            Clients(prefixed, address, str(member.port), "--pause", str(pause))
            for prefixed, address in ((lab.in_client, lab.host_ip), (lab.in_host, "127.0.0.1"))
        ]
        for member in members
    ]
    for pair in clients:
        for client in pair:
            client.wait_answered()
    for wave in range(1, waves + 1):
        for member in members:
            member.hanoverd.hup()
        for member in members:
            member.hanoverd.wait_live(f"{member.app}-{wave}", timeout=within)
    for member in members:
        member.hanoverd.wait_gone(f"{member.app}-{waves - 1}", timeout=within)
    counted = [[client.finish() for client in pair] for pair in clients]
    return [_outcome(member, counts) for member, counts in zip(members, counted, strict=True)]


def _outcome(member: Member, counted: Sequence[dict[str, Any]]) -> Outcome:
    def seconds(event: str) -> list[float]:
        # Without the first version, before which there was none to replace.
        return [found["seconds"] for found in member.hanoverd.events(event)][1:]

    return Outcome(member, seconds("live"), seconds("routed"), counted)
