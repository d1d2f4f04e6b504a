"""Which process has a port, from files as the kernel has them in /proc."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from hanoverd.network.port_owners import LISTEN, TIME_WAIT, owner_of, ports_served, sockets_on
from hanoverd.spec.ports import ANY_IPV4, HostPort, Protocol

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n"
LINE = "   0: {} 00000000:0000 {} 00000000:00000000 00:00000000 00000000     0        0 {} 2 0000000000000000 0\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """Port 8080 has a listener, and a closed connection; the UDP port 8053 has Docker's proxy."""
    net = tmp_path / "net"
    net.mkdir()
    (net / "tcp").write_text(HEAD + LINE.format("0100007F:1F90", "0A", 11) + LINE.format("0100007F:1F90", "06", 0))
    (net / "tcp6").write_text(HEAD + LINE.format("00000000000000000000000000000000:1F91", "0A", 13))
    (net / "udp").write_text(HEAD + LINE.format("00000000:1F75", "07", 12))
    for pid, comm, arguments, inode in (
        (7, "nginx", "nginx\0--password\0secret\0", 11),
        (
            9,
            "docker-proxy",
            "/usr/bin/docker-proxy\0-proto\0udp\0-container-ip\x00172.17.0.9\0-container-port\x0053\0",
            12,
        ),
        (10, "nobody", "", 99),
    ):
        process = tmp_path / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "3").symlink_to(f"socket:[{inode}]")
        (process / "comm").write_text(f"{comm}\n")
        (process / "cmdline").write_text(arguments)
    (tmp_path / "8").mkdir()
    return tmp_path


def test_the_process_is_named_without_its_arguments(proc: Path) -> None:
    assert owner_of(HostPort(ANY_IPV4, 8080), proc) == "process 7 (nginx)"
    assert owner_of(HostPort(IPv4Address("127.0.0.1"), 8080), proc) == "process 7 (nginx)"


def test_of_a_port_that_docker_publishes_the_container_is_named(proc: Path) -> None:
    expected = "process 9 (docker-proxy: Docker publishes it for the container at 172.17.0.9)"
    assert owner_of(HostPort(ANY_IPV4, 8053, Protocol.UDP), proc) == expected


def test_no_process_has_another_address_port_or_protocol(proc: Path) -> None:
    assert owner_of(HostPort(IPv4Address("127.0.0.2"), 8080), proc) is None
    assert owner_of(HostPort(ANY_IPV4, 8053), proc) is None
    assert owner_of(HostPort(ANY_IPV4, 8080, Protocol.UDP), proc) is None


def test_a_process_of_another_user_is_not_known(proc: Path) -> None:
    host = HostPort(ANY_IPV4, 8081)
    assert (list(sockets_on(host, LISTEN, proc)), owner_of(host, proc)) == (["13"], None)


def test_sockets_are_found_by_their_state(proc: Path) -> None:
    assert list(sockets_on(HostPort(ANY_IPV4, 8080), TIME_WAIT, proc)) == ["0"]
    assert list(sockets_on(HostPort(ANY_IPV4, 8080), LISTEN, proc)) == ["11"]


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    assert list(sockets_on(HostPort(ANY_IPV4, 8080), LISTEN, tmp_path)) == []
    assert owner_of(HostPort(ANY_IPV4, 8080), tmp_path) is None


def test_the_ports_of_an_address_are_those_of_its_own_sockets_and_of_sockets_at_all_addresses(tmp_path: Path) -> None:
    net = tmp_path / "net"
    net.mkdir()
    # fd00:30::2 as the kernel has it in memory, all addresses, another address, and a connection.
    own, anywhere, other = "000000FD000030000000000002000000", "0" * 32, "000000FD000030000000000003000000"
    lines = ((own, "0050", "0A"), (anywhere, "01BB", "0A"), (other, "1F90", "0A"), (own, "1F91", "01"))
    (net / "tcp6").write_text(HEAD + "".join(LINE.format(f"{one}:{port}", state, 1) for one, port, state in lines))
    address = IPv6Address(b"".join(bytes.fromhex(own[start : start + 8])[::-1] for start in range(0, 32, 8)))
    assert ports_served(address, Protocol.TCP, tmp_path) == {80, 443}
    assert ports_served(address, Protocol.UDP, tmp_path) == frozenset()
