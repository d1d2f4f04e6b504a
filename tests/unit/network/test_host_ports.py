"""Holding host ports."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address

import pytest

from hanoverd.network.host_ports import hold_ports, release_ports
from hanoverd.runtime.errors import PortTaken
from hanoverd.runtime.ipv6 import has_ipv6
from hanoverd.spec.ports import ANY_IPV4, ANY_IPV6, ContainerPort, HostPort, PortRequest, Protocol, PublishedPort

#: An address that no other process uses: tests run in several at once.
LOOPBACK = IPv4Address(f"127.78.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}")

WEB = ContainerPort(80)


def used(number: int, container: ContainerPort = WEB) -> PublishedPort:
    """A port that an earlier run published."""
    return PublishedPort(HostPort(LOOPBACK, number), container)


@pytest.fixture
def free() -> int:
    """A port that is free just now."""
    with socket.create_server((str(LOOPBACK), 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def at(first: int, last: int | None = None) -> PortRequest:
    return PortRequest(WEB, range(first, (last or first) + 1), LOOPBACK)


def test_a_held_port_refuses_others_and_their_clients(free: int) -> None:
    [held] = hold_ports([at(free)])
    assert held.published.host.number == free
    with pytest.raises(OSError, match="in use"):
        socket.create_server((str(LOOPBACK), free))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((str(LOOPBACK), free))
    release_ports([held])
    release_ports([held])
    socket.create_server((str(LOOPBACK), free)).close()


def test_a_port_that_another_listens_on_is_refused(free: int) -> None:
    with (
        socket.create_server((str(LOOPBACK), free)),
        pytest.raises(PortTaken, match=rf"process {os.getpid()} \(.*\) listens on it"),
    ):
        hold_ports([at(free)])


def test_a_port_that_another_hanoverd_holds_is_refused(free: int) -> None:
    held = hold_ports([at(free)])
    with pytest.raises(PortTaken, match="another hanoverd"):
        hold_ports([at(free)])
    release_ports(held)


def test_any_port_means_a_free_one() -> None:
    held = hold_ports([PortRequest(WEB, address=LOOPBACK), PortRequest(WEB, address=LOOPBACK)])
    assert len({port.published.host.number for port in held}) == 2
    release_ports(held)


def test_a_port_without_an_address_is_held_at_all_addresses_that_the_host_has() -> None:
    for with_ipv6 in {has_ipv6(), False}:
        held = hold_ports([PortRequest(WEB)], with_ipv6=with_ipv6)
        assert [port.published.host.address for port in held] == [ANY_IPV4, ANY_IPV6][: 1 + with_ipv6]
        assert len({port.published.host.number for port in held}) == 1
        assert all(port.was_picked for port in held)
        release_ports(held)


def test_a_port_that_is_taken_over_ipv4_is_held_over_neither_family(free: int) -> None:
    with socket.create_server(("0.0.0.0", free)):
        with pytest.raises(PortTaken, match=f"cannot publish port 80 on 0.0.0.0:{free}: process {os.getpid()} "):
            hold_ports([PortRequest(WEB, range(free, free + 1))], with_ipv6=has_ipv6())
        if has_ipv6():
            socket.create_server(("::", free), family=socket.AF_INET6).close()


def test_of_a_range_the_first_free_one_is_taken(free: int) -> None:
    with socket.create_server((str(LOOPBACK), free)):
        [held] = hold_ports([at(free, free + 20)])
    assert free < held.published.host.number <= free + 20
    release_ports([held])


def test_one_that_needs_a_certain_port_gets_it_before_one_with_a_choice(free: int) -> None:
    held = hold_ports([at(free, free + 20), at(free)])
    assert held[1].published.host.number == free
    assert held[0].published.host.number != free
    release_ports(held)


def test_the_port_of_an_earlier_run_is_chosen_again_where_any_would_do(free: int) -> None:
    [held] = hold_ports([PortRequest(WEB, address=LOOPBACK)], [used(free)])
    assert held.published.host.number == free
    release_ports([held])


def test_of_a_range_the_port_of_an_earlier_run_is_chosen_again(free: int) -> None:
    [held] = hold_ports([at(free - 5, free)], [used(free)])
    assert held.published.host.number == free
    release_ports([held])


def test_several_ports_of_an_earlier_run_are_all_chosen_again(free: int) -> None:
    with socket.create_server((str(LOOPBACK), 0)) as listener:
        other: int = listener.getsockname()[1]
    held = hold_ports([PortRequest(WEB, address=LOOPBACK)] * 2, [used(free), used(other)])
    assert [port.published.host.number for port in held] == [free, other]
    release_ports(held)


def test_a_port_of_an_earlier_run_is_not_chosen_where_it_would_not_do(free: int) -> None:
    # It is of another container port, or another one was asked for, or another program listens on it by now.
    [held] = hold_ports([at(free)], [used(free + 1), used(free + 2, ContainerPort(81))])
    assert held.published.host.number == free
    release_ports([held])
    with socket.create_server((str(LOOPBACK), free)):
        [held] = hold_ports([PortRequest(WEB, address=LOOPBACK)], [used(free)])
    assert held.published.host.number != free
    release_ports([held])


def test_a_port_of_just_closed_connections_can_be_held(free: int) -> None:
    with socket.create_server((str(LOOPBACK), free)) as listener:
        client = socket.create_connection((str(LOOPBACK), free))
        served, _ = listener.accept()
        served.close()
        client.close()
    release_ports(hold_ports([at(free)]))


def test_all_are_let_go_when_one_cannot_be_held(free: int) -> None:
    with pytest.raises(PortTaken, match="not an address of this host"):
        hold_ports([at(free), PortRequest(WEB, range(free, free + 1), IPv4Address("203.0.113.1"))])
    release_ports(hold_ports([at(free)]))


UDP = ContainerPort(53, Protocol.UDP)


def udp_socket(number: int, *, reuse: bool = False) -> socket.socket:
    """A UDP socket that is bound to the port."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        bound.bind((str(LOOPBACK), number))
    except OSError:
        bound.close()
        raise
    return bound


def test_a_held_udp_port_refuses_others_and_their_clients(free: int) -> None:
    [held] = hold_ports([PortRequest(UDP, range(free, free + 1), LOOPBACK)])
    for reuse in (False, True):
        with pytest.raises(OSError, match="in use"):
            udp_socket(free, reuse=reuse)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.connect((str(LOOPBACK), free))
        client.send(b"to nobody")
        # The port is unreachable: not swallowed, which would be a timeout.
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)
    release_ports([held])
    udp_socket(free).close()


def test_a_udp_port_that_another_receives_on_is_refused(free: int) -> None:
    with udp_socket(free, reuse=True), pytest.raises(PortTaken, match=rf"process {os.getpid()} \(.*\) listens on it"):
        hold_ports([PortRequest(UDP, range(free, free + 1), LOOPBACK)])


def test_a_port_can_be_held_for_each_protocol(free: int) -> None:
    held = hold_ports([at(free), PortRequest(UDP, range(free, free + 1), LOOPBACK)])
    assert [port.published.host.protocol for port in held] == [Protocol.TCP, Protocol.UDP]
    release_ports(held)


def test_any_udp_port_means_a_free_one() -> None:
    held = hold_ports([PortRequest(UDP, address=LOOPBACK), PortRequest(UDP, address=LOOPBACK)])
    assert len({port.published.host.number for port in held}) == 2
    release_ports(held)


def test_a_port_of_just_closed_connections_is_held_against_programs_that_reuse_addresses(free: int) -> None:
    with socket.create_server((str(LOOPBACK), free)) as listener:
        client = socket.create_connection((str(LOOPBACK), free))
        served, _ = listener.accept()
        served.close()
        client.close()
    held = hold_ports([at(free)])
    # create_server sets SO_REUSEADDR.
    with pytest.raises(OSError, match="in use"):
        socket.create_server((str(LOOPBACK), free))
    release_ports(held)
