"""Which UDP flows are moved, and when; ``conntrack`` is a script that plays the kernel's table."""

from __future__ import annotations

import os
import tempfile
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from hanoverd.network.relay import Relays
from hanoverd.network.route import Route
from hanoverd.network.udp_flows import UdpFlows
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, Protocol, PublishedPort
from tests.unit.deploy.dummies import exit_of, ids, running

REACTOR: Any = reactor

PORT = PublishedPort(HostPort(ANY_IPV4, 53, Protocol.UDP), ContainerPort(5353, Protocol.UDP))

#: Of one client to the versions 1 and 2, at 172.17.0.1 and 172.17.0.2.
LISTING = "".join(
    f"udp 17 29 src=10.0.0.2 dst=10.0.0.1 sport={number} dport=53 src=172.17.0.{number} dst=10.0.0.2 sport=5353 dport={number} use=1\n"
    for number in (1, 2)
)
FIB = "     |-- 10.0.0.1\n        /32 host LOCAL\n"


class UdpFlowsTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "net").mkdir()
        (self.folder / "net" / "fib_trie").write_text(FIB)
        (self.folder / "listing").write_text(LISTING)
        # A deletion removes the lines of the one who answers.
        self.script(
            f'if [ "$1" = -L ]; then cat {self.folder}/listing; else\n'
            f'echo "$*" >> {self.folder}/deleted; grep -v "src=$9 " {self.folder}/listing > {self.folder}/new\n'
            f"mv {self.folder}/new {self.folder}/listing; fi"
        )
        self.flows = self.of([PORT])

    def script(self, body: str) -> None:
        program = self.folder / "conntrack"
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    def of(self, ports: list[PublishedPort]) -> UdpFlows:
        environ = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        return UdpFlows(REACTOR, environ, ports, Relays(REACTOR, {}), self.folder)

    def go_live(self, number: int) -> Any:
        one = running(number)
        self.flows.set_live(one, [Route(PORT, one.address, None)])
        return one

    @property
    def deleted(self) -> list[str]:
        """Whose flows were deleted."""
        path = self.folder / "deleted"
        return [line.split()[8] for line in path.read_text().splitlines()] if path.exists() else []

    async def test_a_replaced_version_keeps_its_flows_until_they_are_moved(self) -> None:
        old = self.go_live(1)
        self.go_live(2)
        await self.flows.move_stale()
        self.assertEqual(self.deleted, [])
        await self.flows.move(old)
        self.assertEqual(self.deleted, ["172.17.0.1"])
        await self.flows.move(old)
        self.assertEqual(self.deleted, ["172.17.0.1"])

    async def test_a_version_that_has_exited_keeps_none(self) -> None:
        old = self.go_live(1)
        self.go_live(2)
        exit_of(old, 1)
        await self.flows.move_stale()
        self.assertEqual(self.deleted, ["172.17.0.1"])

    async def test_the_live_version_keeps_its_flows(self) -> None:
        live = self.go_live(2)
        await self.flows.move(live)
        self.assertEqual(self.deleted, [])

    async def test_flows_of_an_earlier_run_move(self) -> None:
        self.go_live(2)
        await self.flows.move_stale()
        self.assertEqual(self.deleted, ["172.17.0.1"])

    async def test_without_a_live_version_flows_stay_with_the_last_one_while_it_runs(self) -> None:
        self.go_live(1)
        self.flows.set_live(None)
        await self.flows.move_stale()
        self.assertEqual(self.deleted, ["172.17.0.2"])

    async def test_a_version_that_is_live_again_is_not_draining(self) -> None:
        first = self.go_live(1)
        second = self.go_live(2)
        self.assertNotEqual(self.flows.endpoints_of(first), frozenset())
        self.go_live(1)
        self.assertEqual(self.flows.endpoints_of(first), frozenset())
        await self.flows.move(first)
        await self.flows.move_stale()
        self.assertEqual(self.deleted, [])
        await self.flows.move(second)
        self.assertEqual(self.deleted, ["172.17.0.2"])

    async def test_without_udp_ports_nothing_is_run(self) -> None:
        for ports in ([], [PublishedPort(HostPort(IPv4Address("10.0.0.1"), 53), ContainerPort(53))]):
            flows = self.of(ports)
            self.script(f"echo x >> {self.folder}/deleted")
            await flows.move_stale()
            await flows.move(running(1))
            self.assertFalse(flows.has_ports)
        self.assertEqual(self.deleted, [])

    async def test_a_failure_is_logged_once_until_it_passes(self) -> None:
        works = (self.folder / "conntrack").read_text().partition("\n")[2]
        for script, expected in (
            ("echo no permission >&2; exit 1", ["udp_flows_not_moved"]),
            ("echo no permission >&2; exit 1", []),
            (works, []),
            ("echo no permission >&2; exit 1", ["udp_flows_not_moved"]),
        ):
            self.script(script)
            with capturedLogs() as logged:
                await self.flows.move_stale()
            self.assertEqual(ids(logged), expected)
