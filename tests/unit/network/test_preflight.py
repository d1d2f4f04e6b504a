"""What is checked of the firewall at the start."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from hanoverd.network.iptables import parse_table
from hanoverd.network.preflight import check_claims, check_firewall, report_obstacles
from hanoverd.network.route import Route
from hanoverd.network.rules import plan_routes, published_ports
from hanoverd.runtime.errors import FirewallError, PortTaken, ProgramMissing
from hanoverd.spec.engine_setup import EngineSetup
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PublishedPort
from tests.fakes.firewall import FakeFirewall


@pytest.fixture
def firewall(tmp_path: Path) -> FakeFirewall:
    return FakeFirewall(tmp_path)


def published(number: int, address: IPv4Address = ANY_IPV4) -> PublishedPort:
    return PublishedPort(HostPort(address, number), ContainerPort(80))


def test_the_rules_are_read_once(firewall: FakeFirewall, tmp_path: Path) -> None:
    program = tmp_path / "iptables-save"
    program.write_text(program.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\necho >>{tmp_path}/runs\n"))
    table = check_firewall(firewall.environ)
    assert table.chains == {"PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"}
    assert (tmp_path / "runs").read_text() == "\n"


@pytest.mark.parametrize("program", ["iptables-save", "iptables-restore"])
def test_a_firewall_that_may_not_be_changed(firewall: FakeFirewall, program: str) -> None:
    firewall.fail(program)
    with pytest.raises(FirewallError, match=f"{program} failed: .*Permission denied.*run it as root"):
        check_firewall(firewall.environ)


def test_a_firewall_program_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="iptables-save"):
        check_firewall({"PATH": str(tmp_path)})


def test_the_comment_of_another_program_may_hold_any_bytes(firewall: FakeFirewall, tmp_path: Path) -> None:
    route = Route(published(8080), "172.17.0.2", None)
    saved = plan_routes("web", "web-0", [route]).replace("COMMIT", "-A OUTPUT -m comment --comment X -j Y\nCOMMIT")
    (tmp_path / "table").write_bytes(saved.encode().replace(b" X ", b' "\xff\xfe" '))
    table = check_firewall(firewall.environ)
    assert published_ports("web", table) == [published(8080)]
    assert [rule.target for rule in table.rules_of("OUTPUT")] == ["Y"]


def test_a_port_that_the_rules_of_another_app_route_is_refused() -> None:
    table = parse_table(plan_routes("web", "web-0", [Route(published(8080), "172.17.0.2", None)]))
    for port in (published(8080), published(8080, IPv4Address("10.0.0.1"))):
        with pytest.raises(PortTaken, match="port 8080 is routed by the firewall chain HANOVERD-web-IN"):
            check_claims("api", [published(8081), port], table)
    check_claims("api", [published(8081)], table)
    check_claims("web", [published(8080)], table)


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A kernel that does not forward."""
    (tmp_path / "proc/sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "proc/sys/net/ipv4/ip_forward").write_text("0\n")
    return tmp_path / "proc"


CLOSED = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"

LOOPBACKS = (IPv4Address("127.0.0.1"), IPv4Address("127.0.0.2"))


def reported(ports: list[PublishedPort], firewall: FakeFirewall, proc: Path) -> list[str]:
    """The reasons that a start logs."""
    events: list[LogEvent] = []
    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    try:
        report_obstacles("web", ports, EngineSetup("29.1.0", "nftables"), firewall.environ, proc)
    finally:
        globalLogPublisher.removeObserver(observer)
    return [str(event["reason"]) for event in events if event.get("event") == "clients_blocked"]


def test_what_keeps_clients_away_is_reported(firewall: FakeFirewall, tmp_path: Path, proc: Path) -> None:
    (tmp_path / "table").write_text(CLOSED)
    forwarding, policy = reported([published(8080)], firewall, proc)
    assert "net.ipv4.ip_forward is 0" in forwarding
    assert "the policy of the chain FORWARD is DROP" in policy
    assert reported([published(8080, address) for address in LOOPBACKS], firewall, proc) == []
    assert len(reported([published(8080, LOOPBACKS[0]), published(8081)], firewall, proc)) == 2


def test_rules_that_cannot_be_read_are_no_obstacle(firewall: FakeFirewall, tmp_path: Path, proc: Path) -> None:
    (tmp_path / "table").write_text(CLOSED)
    firewall.fail("iptables-save")
    assert len(reported([published(8080)], firewall, proc)) == 1
