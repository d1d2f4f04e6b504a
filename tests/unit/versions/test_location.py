"""Where a container answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from twisted.python.failure import Failure

from hanoverd.docker.engine import Engine
from hanoverd.runtime.errors import NotFound, VersionFailed
from hanoverd.versions.location import Location, default_gateway, locate
from tests.coroutines import Run

HEADER = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
#: The default gateway is 10.77.2.1.
ROUTES = (
    HEADER
    + "eth1\t00014D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    + "eth0\t00000000\t01024D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
)
TWO = {
    "front": {"IPAddress": "10.77.1.2", "Gateway": "10.77.1.1"},
    "back": {"IPAddress": "10.77.2.2", "Gateway": "10.77.2.1"},
}


class OtherContainers:
    """An engine that has these containers."""

    def __init__(self, **containers: Mapping[str, Any]) -> None:
        self._containers = containers

    async def inspect_container(self, name: str) -> Mapping[str, Any]:
        """Return one of them."""
        if name not in self._containers:
            raise NotFound("cannot inspect it", 404, "No such container")
        return self._containers[name]


def container(mode: str, networks: Mapping[str, Any], *, running: bool = True) -> dict[str, Any]:
    """An inspected container."""
    return {
        "HostConfig": {"NetworkMode": mode},
        "State": {"Running": running, "Pid": 7},
        "NetworkSettings": {"Networks": networks},
    }


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A /proc with the routes of process 7."""
    (tmp_path / "7/net").mkdir(parents=True)
    (tmp_path / "7/net/route").write_text(ROUTES)
    return tmp_path


def located(found: Mapping[str, Any], proc: Path, address: str | None = None, **others: Mapping[str, Any]) -> Location:
    """Where a container answers, beside ``others``."""
    run = Run(locate(cast("Engine", OtherContainers(**others)), found, address, proc))
    [result] = run.results
    if isinstance(result, Failure):
        result.raiseException()
    return cast("Location", result)


def test_of_several_networks_it_is_the_one_with_the_default_gateway(proc: Path) -> None:
    assert located(container("front", TWO), proc) == Location("10.77.2.2", ("10.77.1.2", "10.77.2.2"))


def test_it_is_the_first_network_where_the_gateway_is_not_seen(tmp_path: Path) -> None:
    assert located(container("front", TWO), tmp_path).address == "10.77.1.2"


def test_it_is_the_address_that_the_rules_have(proc: Path) -> None:
    assert located(container("front", TWO), proc, "10.77.1.2").address == "10.77.1.2"
    assert located(container("front", TWO), proc, "10.77.9.9").address == "10.77.2.2"


def test_on_the_hosts_network_it_is_the_hosts_loopback(proc: Path) -> None:
    assert located(container("host", {"host": {"IPAddress": ""}}), proc) == Location("127.0.0.1")


def test_without_a_network_it_is_nowhere(proc: Path) -> None:
    assert located(container("none", {"none": {"IPAddress": ""}}), proc) == Location("")


def test_in_another_containers_network_it_is_the_address_of_that_one(proc: Path) -> None:
    found = container("container:pod", {})
    assert located(found, proc, pod=container("front", {"front": TWO["front"]})) == Location("10.77.1.2")
    assert located(found, proc, pod=container("host", {})) == Location("127.0.0.1")


def test_another_container_that_is_gone_or_has_ended_fails_the_version(proc: Path) -> None:
    found = container("container:pod", {})
    with pytest.raises(VersionFailed, match="the network of the container pod, which does not exist: create it"):
        located(found, proc)
    with pytest.raises(VersionFailed, match="the network of the container pod, which does not run: start it"):
        located(found, proc, pod=container("front", TWO, running=False))


def test_a_process_without_a_default_gateway_has_none(proc: Path) -> None:
    assert default_gateway(7, proc) == "10.77.2.1"
    (proc / "7/net/route").write_text(HEADER)
    assert default_gateway(7, proc) is None
    assert default_gateway(8, proc) is None
