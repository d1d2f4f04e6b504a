"""Engines and hosts that are set up differently: who reaches the live version there, and what a start reports."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, hostname
from tests.integration.conftest import StartDaemon
from tests.integration.test_networks import helper
from tests.lab.clients import Asker, Prefix
from tests.lab.daemon import Daemon, run_to_end
from tests.lab.host import Lab, other_lab
from tests.lab.images import import_base, write_app

REFUSED = 125


@contextmanager
def made(lab: Lab, name: str, **request: object) -> Iterator[None]:
    """A network of this kind."""
    status, answer = lab.docker("POST", "/networks/create", {"Name": name, **request})
    assert status == 201, answer
    try:
        yield
    finally:
        assert lab.docker("DELETE", f"/networks/{name}")[0] == 204


@contextmanager
def setting(lab: Lab, off: list[str], on: list[str]) -> Iterator[None]:
    """The host after the command ``off``; ``on`` takes it back."""
    subprocess.run(lab.in_host(off), check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(lab.in_host(on), check=True, capture_output=True)


def answers(where: Prefix, address: str, protocol: str = "tcp") -> set[str]:
    """What a client is answered."""
    return {answer for _, answer in Asker(where, protocol, address, "8080").finish()}


def assert_times_out(where: Prefix, address: str) -> None:
    """A client's packets are dropped."""
    with pytest.raises(ConnectionError, match="exit status 28"):
        ask(where, f"http://{address}:8080/", seconds=2)


MACVLAN = {"Driver": "macvlan", "Options": {"parent": "lab0"}, "IPAM": {"Config": [{"Subnet": "10.203.0.0/24"}]}}
GATEWAY_MODE = "com.docker.network.bridge.gateway_mode_ipv4"

#: Networks without published ports, each with the first version of Docker that has this kind, and the reason.
WITHOUT_PORTS: tuple[tuple[int, dict[str, object], str], ...] = (
    (20, {"Internal": True}, "it is internal"),
    (20, {**MACVLAN}, "its driver is macvlan"),
    (27, {"Options": {GATEWAY_MODE: "routed"}}, f"its option {GATEWAY_MODE} is routed"),
    (28, {"Options": {GATEWAY_MODE: "isolated"}, "Internal": True}, "it is internal"),
)


def test_a_network_without_published_ports_is_refused_with_the_reason(lab: Lab, app_folder: Path) -> None:
    version = int(json.loads(lab.docker("GET", "/version")[1])["Version"].partition(".")[0])
    for first, request, reason in WITHOUT_PORTS:
        if version >= first:
            with made(lab, "closed", **request):
                code, _, err = run_to_end(lab, ["-p8080:80", "--network=closed"], app_folder)
            assert (code, f"network closed cannot be published: {reason}. Choose another" in err) == (REFUSED, True), (
                err
            )


def test_an_internal_network_beside_another_or_without_published_ports(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with made(lab, "inner", Internal=True), made(lab, "outer"):
        with daemon("-p8080:80", "--network=inner", "--network=outer", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("app-0")
            asker = Asker(lab.in_client, "tcp", lab.host_ip, "8080")
            hanoverd.hup()
            hanoverd.wait_gone("app-0")
            assert {answer for _, answer in asker.finish()} == {"app-0", "app-1"}
        with daemon("--network=inner", cwd=app_folder) as hanoverd:
            live = hanoverd.wait_event("live")
            assert live["routes"] == "no port is published"


def test_a_network_that_was_created_again_as_an_internal_one_fails_the_handover_with_the_reason(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with ExitStack() as networks:
        networks.enter_context(made(lab, "changed", IPAM={"Config": [{"Subnet": "10.77.8.0/24"}]}))
        with daemon("-p8080:80", "--network=changed", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("app-0")
            lab.docker("POST", "/networks/changed/disconnect", {"Container": "app-0", "Force": True})
            networks.close()
            networks.enter_context(made(lab, "changed", IPAM={"Config": [{"Subnet": "10.77.9.0/24"}]}, Internal=True))
            hanoverd.hup()
            error = str(hanoverd.wait_event("failed", version="app-1")["error"])
            assert "the engine has not published its ports, because its network changed is internal" in error
            assert "without --internal" in error


def test_a_host_that_forwards_nothing_is_reported_and_its_own_clients_are_served(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    switch = "net.ipv4.ip_forward"
    off, on = (["sysctl", "-w", f"{switch}={value}"] for value in (0, 1))
    with setting(lab, off, on), daemon("-p8080:80", cwd=app_folder) as hanoverd:
        reason = hanoverd.wait_event("clients_blocked")["reason"]
        assert f"({switch} is 0)" in reason
        assert f"`sysctl -w {switch}=1`" in reason
        hanoverd.wait_live("app-0")
        asker = Asker(lab.in_host, "tcp", "127.0.0.1", "8080")
        hanoverd.hup()
        hanoverd.wait_gone("app-0")
        assert {answer for _, answer in asker.finish()} == {"app-0", "app-1"}
        assert_times_out(lab.in_client, lab.host_ip)
        # The reported command is enough.
        subprocess.run(lab.in_host(on), check=True, capture_output=True)
        assert answers(lab.in_client, lab.host_ip) == {"app-1"}
    for options in (["-p8080:80"], ["-p127.0.0.1:8080:80"]):
        with daemon(*options, cwd=app_folder) as hanoverd:
            hanoverd.wait_event("live")
            assert hanoverd.events("clients_blocked") == []
            if options == ["-p8080:80"]:
                # Another program switches it off.
                with setting(lab, off, on):
                    assert f"`sysctl -w {switch}=1`" in hanoverd.wait_event("clients_blocked")["reason"]
                hanoverd.wait_event("clients_unblocked")


def test_an_engine_without_rules_of_its_own(app_folder: Path) -> None:
    with other_lab("--iptables=false") as lab:
        import_base(lab)
        closed, opened = (["iptables", "-P", "FORWARD", policy] for policy in ("DROP", "ACCEPT"))
        with setting(lab, closed, opened), Daemon(lab, ["-p8080:80"], app_folder) as hanoverd:
            reason = hanoverd.wait_event("clients_blocked")["reason"]
            assert "(the policy of the chain FORWARD is DROP)" in reason
            assert "`iptables -P FORWARD ACCEPT`" in reason
            hanoverd.wait_live("app-0")
            assert_times_out(lab.in_client, lab.host_ip)
            assert answers(lab.in_host, "127.0.0.1") == {"app-0"}
            # The reported command is enough.
            subprocess.run(lab.in_host(opened), check=True)
            assert answers(lab.in_client, lab.host_ip) == {"app-0"}
        # An administrator's own rules are, too.
        accept = "for side in -i -o; do iptables -A FORWARD $side docker0 -j ACCEPT; done"
        with (
            setting(lab, closed, opened),
            setting(lab, ["sh", "-ec", accept], ["iptables", "-F", "FORWARD"]),
            Daemon(lab, ["-p8080:80"], app_folder) as hanoverd,
        ):
            hanoverd.wait_live("app-1")
            assert answers(lab.in_client, lab.host_ip) == {"app-1"}
            assert hanoverd.events("clients_blocked") == []


#: How many times a client may wait in vain for a second, in two restarts of the engine.
SHORTLY = 4


@pytest.mark.parametrize("network", ["default", "named"])
def test_without_a_userland_proxy_every_origin_is_served_while_the_engine_restarts(
    own: Lab, app_folder: Path, network: str
) -> None:
    gateway = {"default": "10.99.0.1", "named": "10.98.0.1"}[network]
    write_app(app_folder, env={"UDP_PORTS": "80"})
    options = ["-p8080:80", "-p8080:80/udp", "--udp-drain=0s", "--keep-versions=0", f"--network={network}"]
    with helper(own, "neighbour", network), Daemon(own, options, app_folder) as hanoverd:
        number = int(str(hanoverd.wait_event("live")["version"]).rpartition("-")[2])
        cells: list[tuple[Prefix, str]] = [
            (own.in_client, own.host_ip),
            *((own.in_host, address) for address in ("127.0.0.1", "127.0.0.2", own.host_ip, gateway)),
            (own.in_container("neighbour"), own.host_ip),
        ]
        first = f"app-{number}"
        # A handover, the engine's crash and its return, a handover, a restart of the engine, and a handover.
        askers = {(where, a, kind): Asker(where, kind, a, "8080") for where, a in cells for kind in ("tcp", "udp")}
        for interrupt in (own.engine.kill, own.engine.end, None) if network == "default" else (own.engine.end, None):
            number += 1
            hanoverd.hup()
            hanoverd.wait_live(f"app-{number}")
            hanoverd.wait_gone(f"app-{number - 1}", timeout=60)
            if interrupt is not None:
                interrupt()
                assert ask(own.in_client, f"http://{own.host_ip}:8080/").split()[0] == f"app-{number}"
                own.engine.start()
        for cell, asker in askers.items():
            asked = asker.finish()
            found = [answer for _, answer in asked if answer != "TimeoutError"]
            # Docker 28 drops new connections for a moment while it starts, until its rules are complete.
            assert len(asked) - len(found) <= SHORTLY, cell
            assert (found[0], found[-1]) == (first, f"app-{number}"), cell
            # A datagram from a port that was used before may be of a flow that has not moved yet.
            assert cell[2] == "udp" or found == sorted(found), cell
            assert set(found) <= {f"app-{number - back}" for back in range(4)}, cell
        eventually(lambda: hostname(own.in_client, f"http://{own.host_ip}:8080/") == f"app-{number}")
        assert hanoverd.terminate() == 0
    assert own.containers("app") == []


@pytest.fixture(scope="module")
def own() -> Iterator[Lab]:
    """An engine without a userland proxy, with live-restore and bridges with other names and addresses."""
    bridge = {"Options": {"com.docker.network.bridge.name": "shopbridge"}}
    with other_lab("--userland-proxy=false", "--live-restore", "--bip=10.99.0.1/24") as lab:
        import_base(lab)
        with made(lab, "named", IPAM={"Config": [{"Subnet": "10.98.0.0/24"}]}, **bridge):
            yield lab
