"""A host port that was picked for an app is kept over a restart of hanoverd."""

from __future__ import annotations

import os
import socket
from ipaddress import IPv4Address

from hanoverd.network.host_ports import hold_ports, release_ports
from hanoverd.network.iptables import parse_table
from hanoverd.network.route import Route
from hanoverd.network.rules import plan_routes, published_ports
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PortRequest, PublishedPort

#: An address that no other process uses: tests run in several at once.
LOOPBACK = IPv4Address(f"127.79.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}")

WEB, SECURE = ContainerPort(80), ContainerPort(443)
ANY = PortRequest(WEB, address=LOOPBACK)


def test_the_rules_say_which_it_was() -> None:
    published = [
        PublishedPort(HostPort(ANY_IPV4, 32771), WEB),
        PublishedPort(HostPort(ANY_IPV4, 32772), WEB),
        PublishedPort(HostPort(LOOPBACK, 32773), SECURE),
    ]
    other = [Route(PublishedPort(HostPort(ANY_IPV4, 1), WEB), "172.17.0.3", None)]
    saved = plan_routes("web", "web-0", [Route(port, "172.17.0.2", None) for port in published])
    saved += plan_routes("other", "other-0", other)
    assert published_ports("web", parse_table(saved)) == published
    assert published_ports("nothing", parse_table(saved)) == []


def test_it_is_chosen_again() -> None:
    used = free()
    [held] = hold_ports([ANY], [port_of(used)])
    assert held.published.host.number == used
    release_ports([held])


def test_one_for_another_port_is_not() -> None:
    used = free()
    [held] = hold_ports([ANY], [port_of(used, SECURE)])
    assert held.published.host.number != used
    release_ports([held])


def test_two_that_were_picked_are_both_chosen_again() -> None:
    used = [free(), free()]
    held = hold_ports([ANY, ANY], [port_of(number) for number in used])
    assert [one.published.host.number for one in held] == used
    release_ports(held)


def test_where_another_program_has_it_a_free_one_is_chosen() -> None:
    used = free()
    with socket.create_server((str(LOOPBACK), used)):
        [held] = hold_ports([ANY], [port_of(used)])
    assert held.published.host.number != used
    release_ports([held])


def test_one_outside_of_the_published_range_is_not_chosen() -> None:
    first, outside = free(), free()
    [held] = hold_ports([PortRequest(WEB, range(first, first + 1), LOOPBACK)], [port_of(outside)])
    assert held.published.host.number == first
    release_ports([held])


def port_of(number: int, container: ContainerPort = WEB) -> PublishedPort:
    """A port that an earlier run published."""
    return PublishedPort(HostPort(LOOPBACK, number), container)


def free() -> int:
    """A port that is not in use just now."""
    with socket.create_server((str(LOOPBACK), 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
