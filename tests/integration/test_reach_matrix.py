"""Who reaches the live version: real clients from every origin, over both protocols and families, across a handover."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import ask
from tests.integration.conftest import StartDaemon
from tests.lab.api import get_json
from tests.lab.clients import Asker, Prefix
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

PROTOCOLS = ("tcp", "udp")

#: A network of which the containers have IPv6 addresses too.
SIX, SIX_GATEWAY, SIX_SUBNETS = "six", "fd00:30::1", ("172.30.0.0/24", "fd00:30::/64")

#: The gateways of the default bridge and of another network, which are addresses of the host too.
GATEWAY, OTHER_GATEWAY = "172.17.0.1", "172.30.0.1"

#: Which containers are clients, with the network that each is in.
CLIENTS = {"near": "bridge", "far": SIX}


@pytest.fixture
def surroundings(lab: Lab) -> Iterator[None]:
    """The network, and the containers that are clients."""
    config = [{"Subnet": subnet} for subnet in SIX_SUBNETS]
    lab.docker("POST", "/networks/create", {"Name": SIX, "EnableIPv6": True, "IPAM": {"Config": config}})
    sleep = ["python3", "-c", "import time; time.sleep(600)"]
    try:
        for name, network in CLIENTS.items():
            body = {"Image": BASE, "Cmd": sleep, "HostConfig": {"NetworkMode": network}}
            assert lab.docker("POST", f"/containers/create?name={name}", body)[0] == 201
            assert lab.docker("POST", f"/containers/{name}/start")[0] == 204
        yield
    finally:
        for name in CLIENTS:
            lab.docker("DELETE", f"/containers/{name}?force=1")
        lab.docker("DELETE", f"/networks/{SIX}")


@contextmanager
def bridge_filtering(lab: Lab, value: str) -> Iterator[None]:
    """Let the kernel show bridged packets to the firewall, or not; Docker switches it on for some networks."""
    name = "net.bridge.bridge-nf-call-iptables"
    read = lab.in_host(["sysctl", "--values", name])
    before = subprocess.run(read, check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(lab.in_host(["sysctl", "--quiet", f"{name}={value}"]), check=True)
        yield
    finally:
        subprocess.run(lab.in_host(["sysctl", "--quiet", f"{name}={before}"]), check=True)


def link_local(lab: Lab) -> str:
    """Return the link-local address of the host, as the client writes it."""
    shown = subprocess.run(
        lab.in_host(["ip", "-6", "-oneline", "address", "show", "dev", "lab0", "scope", "link"]),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return f"{shown.split()[3].partition('/')[0]}%lab0"


def origins(lab: Lab) -> dict[str, tuple[Prefix, str]]:
    """Return from where the published port is asked, and at which address."""
    near, far = lab.in_container("near"), lab.in_container("far")
    return {
        "another machine": (lab.in_client, lab.host_ip),
        "another machine, IPv6": (lab.in_client, lab.host_ip6),
        "another machine, link-local": (lab.in_client, link_local(lab)),
        "the host, loopback": (lab.in_host, "127.0.0.1"),
        "the host, own address": (lab.in_host, lab.host_ip),
        "the host, gateway": (lab.in_host, GATEWAY),
        "the host, IPv6 loopback": (lab.in_host, "::1"),
        "the host, own IPv6 address": (lab.in_host, lab.host_ip6),
        "default bridge, the host": (near, lab.host_ip),
        "default bridge, its gateway": (near, GATEWAY),
        "other network, the host": (far, lab.host_ip),
        "other network, its gateway": (far, OTHER_GATEWAY),
        "other network, gateway of the first": (far, GATEWAY),
        "other network, the host over IPv6": (far, lab.host_ip6),
        "other network, its gateway over IPv6": (far, SIX_GATEWAY),
    }


#: The networks that the app is in, and whether it listens on IPv6.
SETUPS = {
    "default bridge": ((), False),
    "IPv6 network": (("--network", SIX), True),
    "IPv6 network, IPv4 app": (("--network", SIX), False),
}


@pytest.mark.parametrize("filtering", ["1", "0"])
@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.usefixtures("surroundings")
def test_everyone_reaches_the_live_version_across_a_handover(
    lab: Lab, app_folder: Path, daemon: StartDaemon, setup: str, filtering: str
) -> None:
    options, has_ipv6 = SETUPS[setup]
    write_app(app_folder, env={"UDP_PORTS": "80", **({"IPV6": "1"} if has_ipv6 else {})})
    ports = ("-p8080:80", "-p8080:80/udp", "--udp-drain=0s", "--keep-versions=0")
    with bridge_filtering(lab, filtering), daemon(*ports, *options, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("app-0")
        askers = {
            (origin, protocol): Asker(prefix, protocol, address, "8080", interval=0.2)
            for origin, (prefix, address) in origins(lab).items()
            for protocol in PROTOCOLS
        }
        hanoverd.hup()
        hanoverd.wait_live("app-1")
        hanoverd.wait_gone("app-0")
        found = {cell: [answer for _, answer in asker.finish()] for cell, asker in askers.items()}
        wrong = {
            cell: names
            for cell, names in found.items()
            # Never back to the old version.
            if (set(names), names) != ({"app-0", "app-1"}, sorted(names))
        }
        assert wrong == {}, "\n".join(f"{cell}: {[*dict.fromkeys(names)]}" for cell, names in wrong.items())
        itself = lab.in_container("app-1")
        for protocol in PROTOCOLS:
            for address in (lab.host_ip, GATEWAY, OTHER_GATEWAY):
                [*_, (_, answer)] = Asker(itself, protocol, address, "8080").finish()
                assert answer == "app-1", (protocol, address)
        # The address of the client, as the app sees it.
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[2] == lab.client_ip
        seen = ask(lab.in_client, f"http://[{lab.host_ip6}]:8080/").split()[2]
        assert (seen == lab.client_ip6) is has_ipv6
        assert hanoverd.status()["repairs"] == 0
        # A port of the container is reached through the published port only.
        inspected = get_json(lab.engine.socket, "/containers/app-1/json")["NetworkSettings"]["Ports"]["80/tcp"]
        for binding in inspected:
            address = lab.host_ip if binding["HostIp"] == "127.0.0.1" else lab.host_ip6
            [(_, answer), *_] = Asker(lab.in_client, "tcp", address, binding["HostPort"]).finish()
            assert answer == "ConnectionRefusedError"
