"""Who reaches the live version over which protocol: real clients from every origin, each across a handover."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.conftest import StartDaemon
from tests.lab.clients import Asker, Prefix
from tests.lab.host import Lab
from tests.lab.images import write_app

PROTOCOLS = ("tcp", "udp")

#: The gateway of the default bridge, which is an address of the host too.
GATEWAY = "172.17.0.1"


@dataclass(frozen=True)
class Origin:
    """Where a client is, and the address that it asks."""

    place: str
    address: str


#: From where the live version is reached over each of ``PROTOCOLS``.
REACHES = (
    Origin("client", Lab.host_ip),
    Origin("host", "127.0.0.1"),
    Origin("host", "127.0.0.2"),
    Origin("host", Lab.host_ip),
    Origin("host", GATEWAY),
    # The container has no IPv6 address: hanoverd relays these.
    Origin("client", Lab.host_ip6),
    Origin("host", "::1"),
)


def place(lab: Lab, name: str) -> Prefix:
    """Return how a command is run at a place."""
    return {"client": lab.in_client, "host": lab.in_host}[name]


def answers(lab: Lab, origin: Origin, protocol: str, port: int = 8080) -> list[str]:
    """Ask once or twice, and return the answers."""
    return [answer for _, answer in Asker(place(lab, origin.place), protocol, origin.address, str(port)).finish()]


@pytest.fixture
def echo(app_folder: Path) -> Path:
    """The folder of an app that answers on port 80, over TCP and UDP."""
    write_app(app_folder, env={"UDP_PORTS": "80"})
    return app_folder


#: The answer to a datagram that was lost, or whose answer was: UDP does not repeat it.
LOST = "TimeoutError"


def went_back(names: list[str], source_ports: list[int]) -> list[tuple[str, int]]:
    """Return the answers of an older version after one of a newer version.

    A client's port may be random, and by chance one that was used before: then that flow goes on.
    """
    newest, used, found = names[0], set[int](), []
    for name, port in zip(names, source_ports, strict=True):
        if name != LOST:
            if name < newest and port not in used:
                found.append((name, port))
            newest = max(newest, name)
        used.add(port)
    return found


def test_every_origin_reaches_the_live_version_across_a_handover(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    with daemon("-p8080:80", "-p8080:80/udp", "--udp-drain=0s", "--keep-versions=0", cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        askers = {
            (origin, protocol): Asker(place(lab, origin.place), protocol, origin.address, "8080")
            for origin in REACHES
            for protocol in PROTOCOLS
        }
        hanoverd.hup()
        hanoverd.wait_live("app-1")
        hanoverd.wait_gone("app-0")
        for cell, asker in askers.items():
            names = [answer for _, answer in asker.finish("app-1")]
            lost = {LOST} if cell[1] == "udp" else set()
            assert set(names) - lost == {"app-0", "app-1"}, (cell, names)
            assert (names[0], names[-1]) == ("app-0", "app-1"), (cell, names)
            assert went_back(names, asker.source_ports) == [], (cell, names, asker.source_ports)
        assert hanoverd.status()["repairs"] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_only_the_published_address_is_reached(lab: Lab, echo: Path, daemon: StartDaemon, protocol: str) -> None:
    with daemon(f"-p127.0.0.1:8080:80/{protocol}", cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        assert set(answers(lab, Origin("host", "127.0.0.1"), protocol)) == {"app-0"}
        for origin in (Origin("client", Lab.host_ip), Origin("host", Lab.host_ip), Origin("host", "127.0.0.2")):
            assert set(answers(lab, origin, protocol)) == {"ConnectionRefusedError"}, origin


def test_a_port_is_published_for_its_protocol_only(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    with daemon("-p8080:80/udp", cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        for origin in REACHES:
            assert set(answers(lab, origin, "udp")) == {"app-0"}
            assert set(answers(lab, origin, "tcp")) == {"ConnectionRefusedError"}


def test_an_app_that_has_udp_ports_only_cannot_be_ready(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    write_app(echo, expose=(), env={"UDP_PORTS": "80"})
    with daemon("-p8080:80/udp", cwd=echo) as hanoverd:
        assert "EXPOSE it in the image or publish it" in hanoverd.wait_event("failed", version="app-0")["error"]


#: The source ports of flows, each used once: the kernel remembers the flows of the test before.
FLOW_PORTS = itertools.count(4567)


@contextmanager
def flows(lab: Lab) -> Iterator[dict[Origin, Asker]]:
    """Clients that keep their source port, one at each origin."""
    yield {
        origin: Asker(place(lab, origin.place), "udp", origin.address, "8080", str(next(FLOW_PORTS)))
        for origin in REACHES
    }


def test_with_udp_drain_0_a_flow_moves_soon_after_the_flip(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    # The old version answers all the time.
    options = ("-p8080:80/udp", "--udp-drain=0s", "--overlap-grace-duration=10m", "--keep-versions=0")
    with daemon(*options, cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        with flows(lab) as askers:
            hanoverd.hup()
            hanoverd.wait_live("app-1")
            for origin, asker in askers.items():
                names = answered(asker.finish("app-1"))
                assert set(names) == {"app-0", "app-1"}, (origin, names)
                assert names == sorted(names), (origin, names)
            assert not hanoverd.events("drained")


def answered(found: list[tuple[float, str]]) -> list[str]:
    """Return the answers, without datagrams that were lost: an answer of the old version may be, while its flow is moved."""
    return [answer for _, answer in found if answer != LOST]


def test_by_default_a_flow_stays_until_the_drain_ends(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    options = ("-p8080:80/udp", "--drain-timeout=4s", "--keep-versions=0")
    with daemon(*options, cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        with flows(lab) as askers:
            hanoverd.hup()
            hanoverd.wait_live("app-1")
            flipped = time.monotonic()
            assert hanoverd.wait_event("drained", version="app-0")["seconds"] > 3
            hanoverd.wait_gone("app-0")
            for origin, asker in askers.items():
                found = asker.finish("app-1")
                assert {answer for seconds, answer in found if seconds < flipped + 3} == {"app-0"}, (origin, found)
                assert answered(found) == sorted(answered(found)), (origin, found)
                assert found[-1][1] == "app-1", (origin, found)


def test_a_flow_that_found_no_version_reaches_the_first_one(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    write_app(echo, env={"UDP_PORTS": "80", "READY_AFTER": "2"})
    with daemon("-p8080:80/udp", cwd=echo) as hanoverd:
        hanoverd.wait_event("running")
        with flows(lab) as askers:
            hanoverd.wait_live("app-0")
            for origin, asker in askers.items():
                found = asker.finish("app-0")
                assert found[0][1] == "ConnectionRefusedError", (origin, found)
                # The kernel limits how many ICMP messages it sends: a question before the flip may have no answer at all.
                assert {answer for _, answer in found} <= {"ConnectionRefusedError", LOST, "app-0"}, (
                    origin,
                    found,
                )
                assert found[-1][1] == "app-0", (origin, found)


def test_a_host_port_that_equals_the_containers_has_no_flow_caught_by_late_answers(
    lab: Lab, echo: Path, daemon: StartDaemon
) -> None:
    options = ("-p80:80/udp", "--udp-drain=0s", "--keep-versions=0")
    with daemon(*options, cwd=echo) as hanoverd:
        hanoverd.wait_live("app-0")
        askers = [Asker(lab.in_client, "udp", lab.host_ip, "80", str(port)) for port in range(5000, 5008)]
        for number in (1, 2, 3):
            hanoverd.hup()
            hanoverd.wait_live(f"app-{number}")
            hanoverd.wait_gone(f"app-{number - 1}")
        for asker in askers:
            names = answered(asker.finish("app-3"))
            assert names[-1] == "app-3", names
            assert set(names) <= {f"app-{number}" for number in range(4)}, names


def test_ranges_of_both_protocols_move_together(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    numbers = [str(number) for number in range(8000, 8011)]
    write_app(echo, env={"PORTS": ",".join(numbers), "UDP_PORTS": ",".join(numbers)})
    options = ("-p8000-8010:8000-8010", "-p8000-8010:8000-8010/udp", "--udp-drain=0s")
    with daemon(*options, cwd=echo) as hanoverd:
        for version in ("app-0", "app-1"):
            hanoverd.wait_live(version)
            for protocol in PROTOCOLS:
                for number in numbers:
                    origin = Origin("client", Lab.host_ip)
                    assert answers(lab, origin, protocol, int(number))[-1] == version, (protocol, number)
            hanoverd.hup()


def test_host_ports_that_were_picked_are_kept_over_versions_and_restarts(
    lab: Lab, echo: Path, daemon: StartDaemon
) -> None:
    options, found = ("-p80", "-p80/udp", "--name=picked"), []
    for version in ("picked-0", "picked-2"):
        # All of it is stopped and removed in between.
        with daemon(*options, cwd=echo) as hanoverd:
            hanoverd.wait_live(version)
            hanoverd.hup()
            hanoverd.wait_event("live", after=hanoverd.wait_live(version))
            found.append({port["protocol"]: port["host_port"] for port in hanoverd.status()["ports"]})
        assert lab.containers("picked") == []
    assert found[0] == found[1]
    assert set(found[0]) == set(PROTOCOLS)


def test_a_port_that_docker_publishes_is_refused_with_its_container(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    with daemon("-p80/udp", "--name=proxied", cwd=echo) as hanoverd:
        hanoverd.wait_live("proxied-0")
        # The engine's own proxy for it, on loopback.
        [proxied] = [one for one in lab.containers("proxied") if one["State"] == "running"]
        [number] = [port["PublicPort"] for port in proxied["Ports"] if "PublicPort" in port]
        with daemon(f"-p127.0.0.1:{number}:80/udp", "--name=second", cwd=echo, log_format="text") as second:
            assert second.wait() != 0
            assert "docker-proxy: Docker publishes it for the container at 172.17." in second.log()


def test_a_udp_app_serves_while_hanoverd_is_killed_and_is_adopted(lab: Lab, echo: Path, daemon: StartDaemon) -> None:
    options = ("-p80/udp", "--udp-drain=0s", "--name=survivor")
    with daemon(*options, cwd=echo) as killed:
        killed.wait_live("survivor-0")
        number = killed.status()["ports"][0]["host_port"]
        asker = Asker(lab.in_client, "udp", lab.host_ip, str(number), str(next(FLOW_PORTS)))
        killed.kill()
    with daemon(*options, cwd=echo) as hanoverd:
        hanoverd.wait_event("adopted", version="survivor-0")
        hanoverd.wait_live("survivor-1")
        hanoverd.wait_event("removed", "kept", version="survivor-0")
        assert hanoverd.status()["ports"][0]["host_port"] == number
        names = answered(asker.finish("survivor-1"))
        assert (names[0], names[-1], names) == ("survivor-0", "survivor-1", sorted(names))
