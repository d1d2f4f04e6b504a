"""The UDP flows that the kernel tracks, as ``conntrack -L`` prints them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.network.flows import (
    Endpoint,
    Flow,
    count_answered,
    local_networks,
    parse_flows,
    stale_filters,
)
from hanoverd.spec.ports import ANY_IPV4, ANY_IPV6, HostPort, Protocol

#: As conntrack v1.4.7 prints them.
LISTING = """\
udp      17 29 src=10.0.0.2 dst=10.0.0.1 sport=4000 dport=53 src=172.17.0.2 dst=10.0.0.2 sport=5353 dport=4000 [ASSURED] mark=0 use=1
udp      17 7 src=10.0.0.2 dst=10.0.0.1 sport=4001 dport=53 [UNREPLIED] src=10.0.0.1 dst=10.0.0.2 sport=53 dport=4001 mark=0 use=1
udp      17 9 src=10.0.0.2 dst=10.0.0.1 sport=4002 dport=53 packets=3 bytes=90 src=172.17.0.3 dst=10.0.0.2 sport=5353 dport=4002 \
packets=3 bytes=90 mark=0 use=1
tcp      6 431998 ESTABLISHED src=10.0.0.2 dst=10.0.0.1 sport=4 dport=53 src=172.17.0.2 dst=10.0.0.2 sport=5353 dport=4 [ASSURED] use=1
icmp     1 29 src=10.0.0.2 dst=10.0.0.1 type=8 code=0 id=1 src=10.0.0.1 dst=10.0.0.2 type=0 code=0 id=1 mark=0 use=1
"""

HOST, CLIENT, OLD, NEW = "10.0.0.1", "10.0.0.2", "172.17.0.2", "172.17.0.3"
LOCAL = [IPv4Network("127.0.0.0/8"), IPv4Network(f"{HOST}/32")]
PORT = HostPort(ANY_IPV4, 53, Protocol.UDP)


def flow(target: Endpoint, answers: Endpoint) -> Flow:
    client = Endpoint(CLIENT, 4000)
    return Flow(client, target, answers, client, is_answered=True)


def test_only_udp_is_read_with_and_without_counters() -> None:
    assert [(one.source.port, one.answers, one.is_answered) for one in parse_flows(LISTING)] == [
        (4000, Endpoint(OLD, 5353), True),
        (4001, Endpoint(HOST, 53), False),
        (4002, Endpoint(NEW, 5353), True),
    ]


def test_flows_that_were_answered_are_counted_by_who_answers() -> None:
    assert count_answered(LISTING) == {Endpoint(OLD, 5353): 1, Endpoint(NEW, 5353): 1}


def test_flows_of_an_old_version_and_those_without_a_version_are_stale() -> None:
    assert stale_filters(parse_flows(LISTING), [PORT], LOCAL, [Endpoint(NEW, 5353)]) == [
        ("--orig-dst", HOST, "--orig-port-dst", "53", "--reply-src", OLD, "--reply-port-src", "5353"),
        ("--orig-dst", HOST, "--orig-port-dst", "53", "--reply-src", HOST, "--reply-port-src", "53"),
    ]


def test_no_flow_is_stale_that_a_kept_version_answers() -> None:
    kept = [Endpoint(OLD, 5353), Endpoint(NEW, 5353), Endpoint(HOST, 53)]
    assert stale_filters(parse_flows(LISTING), [PORT], LOCAL, kept) == []


@pytest.mark.parametrize(
    ("address", "number"), [("8.8.8.8", 53), ("10.0.0.3", 53), (HOST, 54)], ids=["internet", "neighbour", "port"]
)
def test_flows_to_other_hosts_and_ports_are_left_alone(address: str, number: int) -> None:
    target = Endpoint(address, number)
    assert stale_filters([flow(target, target)], [PORT], LOCAL, []) == []


def test_a_port_at_one_address_has_only_the_flows_to_that_address() -> None:
    port = HostPort(IPv4Address("127.0.0.1"), 53, Protocol.UDP)
    flows = [flow(Endpoint(address, 53), Endpoint(OLD, 5353)) for address in (HOST, "127.0.0.1")]
    assert [words[1] for words in stale_filters(flows, [port], LOCAL, [])] == ["127.0.0.1"]


def test_the_tcp_port_of_the_same_number_has_no_flows() -> None:
    assert stale_filters(parse_flows(LISTING), [HostPort(ANY_IPV4, 53)], LOCAL, []) == []


def test_a_late_answer_of_an_old_version_does_not_catch_the_client() -> None:
    late = Flow(
        Endpoint(OLD, 53), Endpoint(CLIENT, 4000), Endpoint(CLIENT, 4000), Endpoint(HOST, 53), is_answered=False
    )
    assert stale_filters([late], [PORT], LOCAL, []) == []
    assert stale_filters([late], [PORT], LOCAL, [], [OLD]) == [("--orig-src", OLD, "--reply-port-dst", "53")]


def test_many_flows_to_one_answer_need_one_filter() -> None:
    assert len(stale_filters([flow(Endpoint(HOST, 53), Endpoint(OLD, 5353))] * 9, [PORT], LOCAL, [])) == 1


ADDRESSES = st.sampled_from([HOST, CLIENT, OLD, NEW, "127.0.0.1"])
ENDPOINTS = st.builds(Endpoint, ADDRESSES, st.sampled_from([53, 5353, 4000]))


@given(st.lists(st.builds(Flow, ENDPOINTS, ENDPOINTS, ENDPOINTS, ENDPOINTS, st.booleans())), st.sets(ENDPOINTS))
def test_a_flow_is_deleted_exactly_where_it_goes_to_the_port_and_its_answer_is_not_kept(
    flows: list[Flow], kept: set[Endpoint]
) -> None:
    filters = set(stale_filters(flows, [PORT], LOCAL, kept))
    wanted = {
        (*("--orig-dst", one.target.address, "--orig-port-dst", "53"), "--reply-src", one.answers.address)
        for one in flows
        if one.target.port == 53 and one.target.address in (HOST, "127.0.0.1") and one.answers not in kept
    }
    assert {words[:6] for words in filters} == wanted


@given(st.text(alphabet="udp 17src=.dst\n") | st.text())
def test_any_listing_can_be_read(listing: str) -> None:
    list(parse_flows(listing))


def test_the_addresses_of_the_host_are_read() -> None:
    text = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 10.0.0.0
        /24 link UNICAST
     |-- 10.0.0.1
        /32 host LOCAL
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.255.255.255
        /32 link BROADCAST
"""
    addresses = (
        "00000000000000000000000000000001 01 80 10 80       lo\nfd000203000000000000000000000001 07 40 00 80     lab0\n"
    )
    ipv4 = [IPv4Network("10.0.0.1/32"), IPv4Network("127.0.0.0/8")]
    assert local_networks(text * 2, addresses) == [*ipv4, IPv6Network("::1"), IPv6Network("fd00:203::1")]
    assert local_networks(text, "") == ipv4
    assert local_networks("", "") == []


def test_flows_over_ipv6_are_told_apart_as_those_over_ipv4_are() -> None:
    client, host, old, new = "fd00:203::2", "fd00:203::1", Endpoint("fd00:30::2", 80), Endpoint("fd00:30::3", 80)
    listing = "".join(
        f"udp      17 29 src={client} dst={host} sport={port} dport=53 src={one.address} dst={client} sport=80 dport={port} use=1\n"
        for port, one in ((4000, old), (4001, new))
    )
    ports, local = [HostPort(ANY_IPV4, 53, Protocol.UDP), HostPort(ANY_IPV6, 53, Protocol.UDP)], [IPv6Network(host)]
    deleted = ("--orig-dst", host, "--orig-port-dst", "53", "--reply-src", "fd00:30::2", "--reply-port-src", "80")
    assert stale_filters(parse_flows(listing), ports, local, [new]) == [deleted]
    assert stale_filters(parse_flows(listing), ports[:1], local, [new]) == []
