"""Networks in which an app has no address of its own, on the command line."""

from __future__ import annotations

import pytest

from hanoverd.cli.parse import parse, warnings
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.reachability import Reachability


def app(line: str) -> AppSpec:
    """The specification that a command line asks for."""
    spec = parse(line.split(), {}, "/srv/web")
    assert isinstance(spec, AppSpec)
    return spec


def test_on_the_hosts_network_ports_are_probed_and_not_published_which_is_a_warning() -> None:
    spec = app("--network host --disable-overlap -p 8080:80 img")
    assert spec.container.reachability is Reachability.HOST
    assert (spec.ports, spec.container.ports) == ((), (ContainerPort(80),))
    assert warnings(spec) == ["Published ports are discarded when using host network mode"]


@pytest.mark.parametrize(
    "line", ["--network host --disable-overlap img", "--network container:pod --disable-overlap img", "-p 8080:80 img"]
)
def test_otherwise_there_is_no_warning(line: str) -> None:
    assert warnings(app(line)) == []


@pytest.mark.parametrize("network", ["host", "container:pod"])
def test_two_versions_cannot_share_ports(network: str) -> None:
    with pytest.raises(
        UsageError, match=f"--network {network}: both versions would share the ports .*--disable-overlap"
    ):
        app(f"--network {network} img")


def test_a_version_that_no_request_can_reach_needs_another_check() -> None:
    with pytest.raises(UsageError, match=r"--network none: no request can reach a version.*--status-kind docker"):
        app("--network none img")
    spec = app("--network none --status-kind none -p 80:80 img")
    assert (spec.ports, spec.container.reachability) == ((), Reachability.NONE)
    assert warnings(spec) == ["Published ports are discarded when using none network mode"]
