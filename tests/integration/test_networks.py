"""Several networks, and networks in which an app has no address of its own, judged by what clients and containers see."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, hostname, names, refused
from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import inspect, network
from tests.lab.daemon import run_to_end
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app


@contextmanager
def helper(lab: Lab, name: str, network_name: str, *command: str) -> Iterator[None]:
    """A container that is no version, and by default sleeps, in a network."""
    body = {
        "Image": BASE,
        "Cmd": [*(command or ("busybox", "sleep", "3600"))],
        "HostConfig": {"NetworkMode": network_name},
    }
    status, answer = lab.docker("POST", f"/containers/create?name={name}", body)
    assert status == 201, answer
    try:
        status, answer = lab.docker("POST", f"/containers/{name}/start")
        assert status == 204, answer
        yield
    finally:
        lab.docker("DELETE", f"/containers/{name}?force=1&v=1")


@contextmanager
def forwarding_closed(lab: Lab) -> Iterator[None]:
    """Forwards only what the engine accepts, as on a host where the engine itself has turned forwarding on."""
    subprocess.run(lab.in_host(["iptables", "-P", "FORWARD", "DROP"]), check=True)
    try:
        yield
    finally:
        subprocess.run(lab.in_host(["iptables", "-P", "FORWARD", "ACCEPT"]), check=True)


def run_in(lab: Lab, container: str, *argv: str) -> str:
    """The output of a program in a running container, without the header of each piece."""
    status, answer = lab.docker(
        "POST",
        f"/containers/{container}/exec",
        {"Cmd": [*argv], "AttachStdout": True, "AttachStderr": True, "Tty": True},
    )
    assert status == 201, answer
    status, output = lab.docker("POST", f"/exec/{json.loads(answer)['Id']}/start", {"Tty": True})
    assert status == 200, output
    return output.decode()


def fetched(lab: Lab, container: str, name: str) -> str:
    """The host name of the version that answers a container at http://NAME/."""
    program = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=60).read().decode())"
    output = run_in(lab, container, "python3", "-c", program, f"http://{name}/")
    return (output.splitlines() or [""])[0].split(" ")[0]


# The engine takes the gateway from the network whose name comes first.
@pytest.mark.parametrize("order", [("back", "front"), ("front", "back")], ids=["gateway first", "gateway second"])
def test_an_app_on_several_networks_is_found_by_its_names_on_each(
    lab: Lab, app_folder: Path, daemon: StartDaemon, order: tuple[str, str]
) -> None:
    first, second = order
    line = (
        *("-p", "8080:80", "--name", "both", "--on-exit", "keep"),
        *("--network", first, "--network-alias", "one"),
        *("--network", f"name={second},alias=two,alias=other,driver-opt=com.example.test=1"),
    )
    with (
        forwarding_closed(lab),
        network(lab, first, "10.77.1.0/24"),
        network(lab, second, "10.77.2.0/24"),
        helper(lab, "asks-first", first),
        helper(lab, "asks-second", second),
    ):
        with daemon(*line, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("both-0")
            for version in ("both-0", "both-1"):
                if version == "both-1":
                    hanoverd.hup()
                    hanoverd.wait_live("both-1")
                    hanoverd.wait_gone("both-0")
                for where in (lab.in_client, lab.in_host):
                    assert hostname(where, f"http://{lab.host_ip}:8080/") == version
                assert fetched(lab, "asks-first", "one") == version
                assert fetched(lab, "asks-second", "two") == version
                assert fetched(lab, "asks-second", "other") == version
            networks = inspect(lab, "both-1")["NetworkSettings"]["Networks"]
            assert isinstance(networks, dict)
            assert sorted(networks) == sorted(order)
            assert networks[second]["DriverOpts"] == {"com.example.test": "1"}
            assert hanoverd.terminate() == 0
        with daemon(*line[:4], *line[6:], cwd=app_folder) as hanoverd:
            hanoverd.wait_event("adopted", version="both-1")
            hanoverd.wait_live("both-2")
            hanoverd.wait_gone("both-1")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "both-2"
            assert fetched(lab, "asks-second", "two") == "both-2"
            assert hanoverd.terminate() == 0


HOST_URL = f"http://{Lab.host_ip}:80/"


def test_an_app_on_the_hosts_network_is_handed_over_and_taken_over_without_rules(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    line = ("--name", "onhost", "--network", "host", "--disable-overlap")
    with daemon(*line, "--on-exit", "keep", cwd=app_folder) as hanoverd:
        live = hanoverd.wait_live("onhost-0")
        assert live["routes"] == "it listens on the host's own ports"
        hanoverd.hup()
        hanoverd.wait_live("onhost-1")
        hanoverd.wait_gone("onhost-0")
        status = hanoverd.status()
        assert (status["live"]["version"], status["live"]["address"], status["ports"]) == ("onhost-1", "127.0.0.1", [])
        for where in (lab.in_client, lab.in_host):
            assert ask(where, HOST_URL) != ""
        assert "--dport" not in lab.iptables_save().split("HANOVERD")[-1]
        # Whoever runs hanoverd next finds the version by its container alone.
        hanoverd.kill()
    assert ask(lab.in_client, HOST_URL) != ""
    code, shown, _ = run_to_end(lab, ("status", "onhost"), app_folder)
    assert (code, "at 127.0.0.1" in shown) == (0, True)
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="onhost-1")
        hanoverd.wait_live("onhost-2")
        hanoverd.wait_gone("onhost-1")
        assert ask(lab.in_client, HOST_URL) != ""
        assert hanoverd.terminate() == 0
    assert names(lab.containers("onhost")) == []


def test_on_the_hosts_network_the_old_version_is_back_when_the_new_one_fails(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    line = ("--name", "fails", "--network", "host", "--disable-overlap", "--status-timeout", "5s")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("fails-0")
        write_app(app_folder, version="2", env={"STATUS": "500"})
        hanoverd.hup()
        hanoverd.wait_event("reinstated", version="fails-0")
        hanoverd.wait_event("failed", version="fails-1")
        assert ask(lab.in_client, HOST_URL).split()[1] == "1"
        # A rollback is a handover, too.
        write_app(app_folder, version="3")
        hanoverd.hup()
        hanoverd.wait_live("fails-2")
        hanoverd.wait_gone("fails-0")
        assert ask(lab.in_client, HOST_URL).split()[1] == "3"
        assert run_to_end(lab, ("rollback", "fails", "--wait"), app_folder)[0] == 0
        assert ask(lab.in_client, HOST_URL).split()[1] == "1"
        assert run_to_end(lab, ("stop", "fails"), app_folder)[0] == 0
        assert refused(lab.in_client, HOST_URL)


def test_a_port_of_the_host_that_another_program_has_fails_the_version(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with helper(lab, "squatter", "host", "busybox", "httpd", "-f", "-p", "80"):
        eventually(lambda: _accepts(lab))
        with daemon("--name", "late", "--network", "host", "--disable-overlap", cwd=app_folder) as hanoverd:
            failed = hanoverd.wait_event("failed", version="late-0")
            assert "port 80 at 127.0.0.1 is in use" in failed["error"]


def test_an_app_in_the_network_of_another_container(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    line = ("--name", "inside", "--network", "container:pod", "--disable-overlap")
    with network(lab, "podnet", "10.77.3.0/24"), helper(lab, "pod", "podnet"), helper(lab, "asks", "podnet"):
        address = inspect(lab, "pod")["NetworkSettings"]["Networks"]["podnet"]["IPAddress"]  # type: ignore[index]
        with daemon(*line, "--on-exit", "keep", cwd=app_folder) as hanoverd:
            live = hanoverd.wait_live("inside-0")
            assert live["routes"] == "it listens on the ports of another container"
            assert fetched(lab, "asks", "pod") != ""
            assert hanoverd.status()["live"]["address"] == address
            write_app(app_folder, env={"EXIT": "3"})
            hanoverd.hup()
            hanoverd.wait_event("reinstated", version="inside-0")
            hanoverd.wait_event("failed", version="inside-1")
            write_app(app_folder)
            hanoverd.hup()
            hanoverd.wait_live("inside-2")
            hanoverd.wait_gone("inside-0")
            assert hanoverd.terminate() == 0
        with daemon(*line, cwd=app_folder) as hanoverd:
            hanoverd.wait_event("adopted", version="inside-2")
            hanoverd.wait_live("inside-3")
            assert fetched(lab, "asks", "pod") != ""
            assert hanoverd.terminate() == 0


def _accepts(lab: Lab) -> bool:
    return (
        "404"
        in subprocess.run(
            lab.in_client(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", HOST_URL]),
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    )


def test_an_app_without_a_network_is_handed_over_by_what_the_engine_says(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    line = ("--name", "alone", "--network", "none", "--status-kind", "none")
    with daemon(*line, "--on-exit", "keep", cwd=app_folder) as hanoverd:
        live = hanoverd.wait_live("alone-0")
        assert live["routes"] == "it has no network"
        assert run_in(lab, "alone-0", "busybox", "ls", "/sys/class/net").split() == ["lo"]
        write_app(app_folder, env={"EXIT": "3"})
        hanoverd.hup()
        hanoverd.wait_event("failed", version="alone-1")
        assert hanoverd.status()["live"]["version"] == "alone-0"
        write_app(app_folder)
        hanoverd.hup()
        hanoverd.wait_live("alone-2")
        hanoverd.wait_gone("alone-0")
        assert hanoverd.terminate() == 0
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="alone-2")
        hanoverd.wait_live("alone-3")
        assert hanoverd.terminate() == 0
