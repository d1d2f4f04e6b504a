"""IPv6: which addresses are published, and what holds while hanoverd does not run, or the host has no IPv6."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, hostname, refused
from tests.integration.conftest import StartDaemon
from tests.lab.clients import Asker, Clients
from tests.lab.host import Lab
from tests.lab.images import write_app

SIX, SUBNETS = "six", ("172.30.0.0/24", "fd00:30::/64")


@contextmanager
def without_ipv6(lab: Lab) -> Iterator[None]:
    """Switch IPv6 off on the lab's host, as an administrator does."""

    def switch(value: int) -> None:
        subprocess.run(lab.in_host(["sysctl", "--quiet", f"net.ipv6.conf.all.disable_ipv6={value}"]), check=True)

    switch(1)
    try:
        yield
    finally:
        switch(0)
        subprocess.run(lab.in_host(["ip", "address", "add", f"{lab.host_ip6}/64", "dev", "lab0", "nodad"]), check=True)


@pytest.fixture
def network(lab: Lab) -> Iterator[str]:
    """A network whose containers have IPv6 addresses."""
    config = [{"Subnet": subnet} for subnet in SUBNETS]
    assert (
        lab.docker("POST", "/networks/create", {"Name": SIX, "EnableIPv6": True, "IPAM": {"Config": config}})[0] == 201
    )
    yield SIX
    lab.docker("DELETE", f"/networks/{SIX}")


def answer(lab: Lab, protocol: str, address: str, *, outside: bool = True) -> str:
    """Return the answer of the port at an address."""
    return Asker(lab.in_client if outside else lab.in_host, protocol, address, "8080").finish()[0][1]


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_only_the_published_addresses_are_reached(
    lab: Lab, app_folder: Path, daemon: StartDaemon, protocol: str
) -> None:
    write_app(app_folder, env={"UDP_PORTS": "80"})
    expected = {
        "[::1]": (set(), {"::1"}),
        f"[{lab.host_ip6}]": ({lab.host_ip6}, {lab.host_ip6}),
        "[::]": ({lab.host_ip6}, {"::1", lab.host_ip6}),
        "0.0.0.0": ({lab.host_ip}, {"127.0.0.1", lab.host_ip}),
    }
    for number, (published, (outside, inside)) in enumerate(expected.items()):
        with daemon(f"-p{published}:8080:80/{protocol}", cwd=app_folder) as hanoverd:
            hanoverd.wait_live(f"app-{number}")
            for address in (lab.host_ip, lab.host_ip6):
                found = answer(lab, protocol, address)
                assert found == (f"app-{number}" if address in outside else "ConnectionRefusedError"), (
                    published,
                    address,
                )
            for address in ("127.0.0.1", "::1", lab.host_ip, lab.host_ip6):
                found = answer(lab, protocol, address, outside=False)
                assert found == (f"app-{number}" if address in inside else "ConnectionRefusedError"), (
                    published,
                    address,
                )
            shown = {port["host_ip"] for port in hanoverd.status()["ports"]}
            assert shown == {published.strip("[]")}


def test_clients_of_a_container_with_an_ipv6_address_are_served_while_hanoverd_does_not_run(
    lab: Lab, app_folder: Path, network: str, daemon: StartDaemon
) -> None:
    write_app(app_folder, env={"IPV6": "1"})
    url = f"http://[{lab.host_ip6}]:8080/"
    options = ("-p8080:80", "--network", network, "--name=killed")
    with daemon(*options, cwd=app_folder) as first:
        first.wait_live("killed-0")
        first.kill()
    assert ask(lab.in_client, url).split()[::2] == ["killed-0", lab.client_ip6]
    assert hostname(lab.in_host, "http://[::1]:8080/") == "killed-0"
    with daemon(*options, cwd=app_folder) as second:
        second.wait_event("adopted", version="killed-0")
        second.wait_live("killed-1")
        assert hostname(lab.in_client, url) == "killed-1"
        # Rules that another program flushed are repaired; until then, hanoverd relays.
        subprocess.run(lab.in_host(["ip6tables", "-t", "nat", "-F"]), check=True)
        assert hostname(lab.in_client, url) == "killed-1"
        second.wait_event("repaired")
        eventually(lambda: ask(lab.in_client, url).split()[2] == lab.client_ip6)


def test_relayed_clients_are_refused_while_hanoverd_does_not_run(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    url = f"http://[{lab.host_ip6}]:8080/"
    with daemon("-p8080:80", "--name=killed", cwd=app_folder) as first:
        first.wait_live("killed-0")
        assert hostname(lab.in_client, url) == "killed-0"
        first.kill()
    assert refused(lab.in_client, url)
    with daemon("-p8080:80", "--name=killed", cwd=app_folder) as second:
        second.wait_event("adopted", version="killed-0")
        assert hostname(lab.in_client, url) in ("killed-0", "killed-1")
        second.wait_live("killed-1")
        assert hostname(lab.in_client, url) == "killed-1"


def test_a_host_without_ipv6_publishes_over_ipv4(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with without_ipv6(lab), daemon("-p8080:80", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("app-0")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "app-0"
        assert len(hanoverd.events("no_ipv6")) == 1
        assert [port["host_ip"] for port in hanoverd.status()["ports"]] == ["0.0.0.0"]
        hanoverd.hup()
        hanoverd.wait_live("app-1")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "app-1"


def test_the_drain_waits_for_a_relayed_connection(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p8080:80", "--keep-versions=0", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("app-0")
        slow = Clients(lab.in_client, lab.host_ip6, "8080", "--path", "/slow?4", "--workers", "4")
        hanoverd.hup()
        hanoverd.wait_live("app-1")
        assert hostname(lab.in_client, f"http://[{lab.host_ip6}]:8080/") == "app-1"
        gone = hanoverd.wait_gone("app-0")
        assert gone["connections"] == 0
        counted = slow.finish()
        assert (counted["failed"], sorted(counted["versions"])) == (0, ["app-0", "app-1"])
