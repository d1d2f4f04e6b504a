"""Published ports."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hanoverd.spec.ports import (
    ANY_IPV4,
    ANY_IPV6,
    HIGHEST_PORT,
    ContainerPort,
    Family,
    HostPort,
    IPAddress,
    PortRequest,
    Protocol,
    certain_ports,
    check_conflicts,
    check_supported,
    parse_publish,
)

WEB, NEXT = ContainerPort(7000), ContainerPort(7001)
ADDRESS = IPv4Address("10.1.2.3")


def one(port: int) -> range:
    """The range that holds one port."""
    return range(port, port + 1)


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("7000", [PortRequest(WEB)]),
        (":7000", [PortRequest(WEB)]),
        ("::7000", [PortRequest(WEB)]),
        ("0:7000", [PortRequest(WEB)]),
        ("9000:7000", [PortRequest(WEB, one(9000))]),
        ("009000:07000/TCP", [PortRequest(WEB, one(9000))]),
        ("9000:7000/", [PortRequest(WEB, one(9000))]),
        ("10.1.2.3:9000:7000", [PortRequest(WEB, one(9000), ADDRESS)]),
        ("[10.1.2.3]:9000:7000", [PortRequest(WEB, one(9000), ADDRESS)]),
        ("10.1.2.3::7000", [PortRequest(WEB, None, ADDRESS)]),
        ("0.0.0.0:9000:7000", [PortRequest(WEB, one(9000), ANY_IPV4)]),
        ("9000-9001:7000-7001", [PortRequest(WEB, one(9000)), PortRequest(NEXT, one(9001))]),
        ("7000-7001", [PortRequest(WEB), PortRequest(NEXT)]),
        ("9000-9005:7000", [PortRequest(WEB, range(9000, 9006))]),
        ("9000-9000:7000", [PortRequest(WEB, one(9000))]),
        ("published=9000,target=7000", [PortRequest(WEB, one(9000))]),
        ("target=7000,mode=host", [PortRequest(WEB)]),
    ],
)
def test_every_spelling_of_docker_is_read(text: str, published: list[PortRequest]) -> None:
    assert list(parse_publish(text)) == published


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no port specified: <empty>"),
        ("9000:", "no port specified: 9000:<empty>"),
        ("published=9000", "no port specified: 9000:/tcp<empty>"),
        ("http", "invalid containerPort: http"),
        ("9000:70000", "invalid containerPort: 70000"),
        ("7001-7000", "invalid containerPort: 7001-7000"),
        ("7000 ", "invalid containerPort: 7000 "),
        ("+9000:7000", "invalid hostPort: +9000"),
        ("9\u0663:7000", "invalid hostPort: 9\u0663"),
        ("9002-9001:7000", "invalid hostPort: 9002-9001"),
        ("9000:7000-7001", "invalid ranges specified for container and host Ports: 7000-7001 and 9000"),
        (
            "9000-9002:7000-7001",
            "invalid ranges specified for container and host Ports: 7000-7001 and 9000-9002",
        ),
        ("9000:7000/quic", "invalid proto: quic"),
        ("host.example:9000:7000", "invalid IP address: host.example"),
        ("10.1.2.03:9000:7000", "invalid IP address: 10.1.2.03"),
        ("fe80::1%eth0:9000:7000", "invalid IP address: fe80::1%eth0"),
        ("[fe80::1:9000:7000", "invalid IP address [fe80::1: address [fe80::1:: missing ']' in address"),
        (
            "[fe80::1]x:9000:7000",
            "invalid IP address [fe80::1]x: address [fe80::1]x:: missing port in address",
        ),
        ("published=9000,7000", "invalid publish opts format (should be name=value but got '7000')"),
    ],
)
def test_what_cannot_be_published_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_publish(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9000:0", "invalid containerPort: 0 (no server can be reached on port 0)"),
        (
            "[fe80::1]:9000:7000",
            "fe80::1 is a link-local address, which is valid on one network interface only: publish the port at [::]",
        ),
    ],
)
def test_what_docker_publishes_and_hanoverd_cannot_is_refused_at_the_start(text: str, message: str) -> None:
    requests = parse_publish(text)
    with pytest.raises(ValueError) as caught:
        check_supported(requests)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "texts",
    [
        ["9000:7000", "9001:7000"],
        ["10.0.0.1:9000:7000", "10.0.0.2:9000:7001"],
        ["7000", "7000"],
        ["9000-9001:7000", "9000-9001:7001"],
    ],
)
def test_ports_that_do_not_meet_are_fine(texts: list[str]) -> None:
    check_conflicts([publish for text in texts for publish in parse_publish(text)])


@pytest.mark.parametrize(
    "texts",
    [["9000:7000", "9000:7001"], ["9000:7000", "10.0.0.1:9000:7001"], ["9000-9002:7000-7002", "9001:80"]],
)
def test_one_host_port_is_for_one_port_of_the_container(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="is published twice"):
        check_conflicts([publish for text in texts for publish in parse_publish(text)])


NUMBERS = st.integers(1, HIGHEST_PORT)
CONTAINER_PORTS = st.builds(ContainerPort, NUMBERS, st.sampled_from(Protocol))
REQUESTS = st.builds(
    PortRequest,
    st.builds(ContainerPort, NUMBERS),
    st.none() | st.tuples(NUMBERS, NUMBERS).map(lambda ends: range(min(ends), max(ends) + 1)),
    st.ip_addresses(v=4),
)
#: Addresses and numbers that often meet.
HOST_PORTS = st.builds(
    HostPort,
    st.sampled_from([IPv4Address(0), IPv4Address(1), IPv4Address(2), IPv6Address(0), IPv6Address(1)]),
    st.integers(1, 3),
    st.sampled_from(Protocol),
)


@given(REQUESTS)
def test_a_request_is_printed_as_it_is_read(request: PortRequest) -> None:
    assert parse_publish(str(request)) == (request,)


@given(CONTAINER_PORTS)
def test_the_port_of_a_container_is_printed_as_it_is_read(port: ContainerPort) -> None:
    assert ContainerPort.parse(str(port)) == port


def test_the_port_of_an_image_is_tcp_where_its_builder_left_that_out() -> None:
    assert ContainerPort.parse("80") == ContainerPort(80)


@pytest.mark.parametrize("text", ["", "/tcp", "http", "80/quic", "8000-8010/tcp", "-1/tcp", "65536/tcp", "8\u0660/tcp"])
def test_what_is_not_a_port_of_a_container_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        ContainerPort.parse(text)


@given(st.text(alphabet="0129:.-/[]=,tcpsudf%x\u0663 ") | st.text())
@example("9" * 5000)
@example("80-" + "9" * 5000)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        requests = parse_publish(text)
    except ValueError:
        return
    assert requests
    for request in requests:
        assert 0 <= request.container.number <= HIGHEST_PORT
        assert request.numbers is None or (request.numbers and 0 < request.numbers[0] <= request.numbers[-1])


@given(HOST_PORTS, HOST_PORTS)
def test_two_host_ports_are_in_conflict_where_one_packet_could_be_for_both(one: HostPort, other: HostPort) -> None:
    assert one.conflicts_with(one)
    assert one.conflicts_with(other) == other.conflicts_with(one)
    assert one.conflicts_with(other) == bool(packets(one) & packets(other))


def packets(port: HostPort) -> set[tuple[object, ...]]:
    """The destinations of a host with the addresses 1 and 2, and an IPv6 address, that belong to the port."""
    addresses: Iterable[object] = [port.address]
    if port.is_at_any_address:
        addresses = [IPv4Address(1), IPv4Address(2)] if port.family is Family.IPV4 else [IPv6Address(1)]
    return {(address, port.protocol, port.number) for address in addresses}


@given(REQUESTS, st.integers(0, HIGHEST_PORT))
def test_a_request_accepts_the_ports_that_it_names_and_is_published_at_one_of_them(
    request: PortRequest, number: int
) -> None:
    assert request.accepts(number) == (request.numbers is None or number in request.numbers)
    published = request.published_at(number)
    addresses: list[IPAddress] = [ANY_IPV4, ANY_IPV6] if request.address is None else [request.address]
    assert [port.host for port in published] == [HostPort(address, number) for address in addresses]
    assert {port.container for port in published} == {request.container}


def test_host_ports_are_printed_as_addresses_are() -> None:
    assert str(HostPort(IPv4Address("10.0.0.1"), 80)) == "10.0.0.1:80"
    assert str(HostPort(IPv6Address("fe80::1"), 80)) == "[fe80::1]:80"


def test_every_port_of_a_host_can_be_published_at_once() -> None:
    requests = parse_publish("1-65535:1-65535")
    check_conflicts(requests)
    with pytest.raises(ValueError, match="host port 65535 is published twice"):
        check_conflicts([*requests, *parse_publish("127.0.0.1:65535:80")])


def test_only_a_request_without_a_choice_has_a_certain_port() -> None:
    requests = [one for text in ("80", "9000-9005:80", "10.0.0.1:53:5353/udp") for one in parse_publish(text)]
    assert certain_ports(requests) == [*requests[-1].published_at(53)]
