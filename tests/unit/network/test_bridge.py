"""How this host reaches the containers of a bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanoverd.network.bridge import can_reach_from_loopback, forwards_packets

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
br-1234\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/route").write_text(ROUTES)
    for interface, value in (("docker0", "1\n"), ("br-1234", "0\n"), ("eth0", "1\n")):
        folder = tmp_path / "sys/net/ipv4/conf" / interface
        folder.mkdir(parents=True)
        (folder / "route_localnet").write_text(value)
    return tmp_path


@pytest.mark.parametrize(
    ("address", "expected"),
    [("172.17.0.2", True), ("172.18.0.2", False), ("192.168.1.1", False)],
    ids=["a bridge that lets it through", "a bridge that does not", "no bridge, only the default route"],
)
def test_the_bridge_of_the_container_decides(proc: Path, address: str, expected: bool) -> None:
    assert can_reach_from_loopback(address, proc) is expected


def test_without_the_kernels_files_it_cannot(tmp_path: Path) -> None:
    assert can_reach_from_loopback("172.17.0.2", tmp_path) is False


@pytest.mark.parametrize(("value", "expected"), [("0\n", False), ("1\n", True)])
def test_whether_the_kernel_forwards(tmp_path: Path, value: str, expected: bool) -> None:
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ip_forward").write_text(value)
    assert forwards_packets(tmp_path) is expected


def test_a_kernel_that_does_not_say_whether_it_forwards(tmp_path: Path) -> None:
    assert forwards_packets(tmp_path) is None
