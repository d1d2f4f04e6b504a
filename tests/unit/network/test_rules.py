"""The text for iptables-restore, planned from what iptables-save shows."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.network.chains import LONGEST_CHAIN_NAME, chains_of
from hanoverd.network.iptables import Table, parse_table
from hanoverd.network.route import Route
from hanoverd.network.rules import (
    Claim,
    are_engine_rules_gone,
    claims,
    find_problem,
    plan_nothing,
    plan_removal,
    plan_routes,
    published_ports,
    routed_version,
)
from hanoverd.spec.ports import (
    ANY_IPV4,
    ANY_IPV6,
    LOOPBACK,
    LOOPBACK_IPV6,
    ContainerPort,
    Family,
    HostPort,
    IPAddress,
    PublishedPort,
)

DOCKER = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
COMMIT
"""

WEB = Route(PublishedPort(HostPort(ANY_IPV4, 8080), ContainerPort(80)), "172.17.0.3", HostPort(LOOPBACK, 49153))
ADMIN = Route(
    PublishedPort(HostPort(IPv4Address("10.0.0.1"), 8443), ContainerPort(443)), "172.17.0.3", HostPort(LOOPBACK, 49154)
)

JUMP_IN = "-A PREROUTING -m addrtype --dst-type LOCAL -j HANOVERD-web-IN"
JUMP_OUT = "-A OUTPUT -m addrtype --dst-type LOCAL -j HANOVERD-web-OUT"
JUMP_SRC = "-A POSTROUTING -m conntrack --ctstate DNAT -j HANOVERD-web-SRC"


def after(*jumps: str) -> Table:
    """What iptables-save shows with ``jumps`` in place ahead of Docker's."""
    chains = "".join(f":HANOVERD-web-{name} - [0:0]\n" for name in ("IN", "OUT", "SRC"))
    rules = "\n".join([*jumps, JUMP_SRC])
    return parse_table(DOCKER.replace("-A PREROUTING", f"{chains}{rules}\n-A PREROUTING", 1))


def test_the_first_flip_makes_the_chains_the_rules_and_the_jumps_in_one_commit() -> None:
    assert plan_routes("web", "web-0", [WEB, ADMIN], parse_table(DOCKER)).splitlines() == [
        "*nat",
        ":HANOVERD-web-IN - [0:0]",
        ":HANOVERD-web-OUT - [0:0]",
        ":HANOVERD-web-SRC - [0:0]",
        '-A HANOVERD-web-IN -s 172.17.0.3/32 -m comment --comment "hanoverd: web-0" -j RETURN',
        '-A HANOVERD-web-IN -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0"'
        " -j DNAT --to-destination 172.17.0.3:80",
        '-A HANOVERD-web-IN -d 10.0.0.1/32 -p tcp -m tcp --dport 8443 -m comment --comment "hanoverd: web-0"'
        " -j DNAT --to-destination 172.17.0.3:443",
        '-A HANOVERD-web-OUT -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0"'
        " -j REDIRECT --to-ports 49153",
        '-A HANOVERD-web-OUT -d 10.0.0.1/32 -p tcp -m tcp --dport 8443 -m comment --comment "hanoverd: web-0"'
        " -j REDIRECT --to-ports 49154",
        "-I PREROUTING 1 -m addrtype --dst-type LOCAL -j HANOVERD-web-IN",
        "-I OUTPUT 1 -m addrtype --dst-type LOCAL -j HANOVERD-web-OUT",
        "-I POSTROUTING 1 -m conntrack --ctstate DNAT -j HANOVERD-web-SRC",
        "COMMIT",
    ]


def test_a_container_in_the_network_of_the_app_gets_its_answers_back_through_the_host() -> None:
    routes = [replace(route, network="172.17.0.0/16") for route in (WEB, ADMIN)]
    rules = [
        rule for rule in plan_routes("web", "web-0", routes).splitlines() if rule.startswith("-A HANOVERD-web-SRC")
    ]
    assert rules == [
        "-A HANOVERD-web-SRC -s 172.17.0.0/16 -d 172.17.0.3/32 -m conntrack --ctstate DNAT"
        ' -m comment --comment "hanoverd: web-0" -j MASQUERADE'
    ]


def test_without_a_proxy_no_rule_leads_clients_on_this_host_to_an_ipv6_address() -> None:
    port = PublishedPort(HostPort(IPv6Address("fd00::1"), 8080), ContainerPort(80))
    rules = plan_routes("web", "web-0", [Route(port, "fd00:1::2", None)]).splitlines()
    assert [rule for rule in rules if rule.startswith("-A HANOVERD-web-OUT")] == []
    assert any(rule.startswith("-A HANOVERD-web-IN") and "DNAT" in rule for rule in rules)


def test_the_rules_of_ipv6_name_its_addresses_as_ip6tables_prints_them() -> None:
    host = HostPort(IPv6Address("fd00::1"), 8080)
    route = Route(PublishedPort(host, ContainerPort(80)), "fd00:1::2", HostPort(LOOPBACK_IPV6, 32768), "fd00:1::/64")
    rules = [rule for rule in plan_routes("web", "web-0", [route]).splitlines() if rule.startswith("-A")]
    comment = '-m comment --comment "hanoverd: web-0"'
    assert rules == [
        f"-A HANOVERD-web-IN -s fd00:1::2/128 {comment} -j RETURN",
        f"-A HANOVERD-web-IN -d fd00::1/128 -p tcp -m tcp --dport 8080 {comment} -j DNAT --to-destination [fd00:1::2]:80",
        f"-A HANOVERD-web-OUT -d fd00::1/128 -p tcp -m tcp --dport 8080 {comment} -j REDIRECT --to-ports 32768",
        f"-A HANOVERD-web-SRC -s fd00:1::/64 -d fd00:1::2/128 -m conntrack --ctstate DNAT {comment} -j MASQUERADE",
    ]
    table = parse_table("\n".join(["*nat", *rules]), family=Family.IPV6)
    assert published_ports("web", table) == [route.port]
    assert routed_version("web", table) == ("web-0", "fd00:1::2")


@pytest.mark.parametrize(
    ("address", "host", "chains"),
    [("172.17.0.3", ANY_IPV4, ["IN", "OUT"]), ("fd00:1::2", ANY_IPV6, ["IN"])],
)
def test_consecutive_ports_that_are_the_same_in_the_container_have_one_rule(
    address: str, host: IPAddress, chains: list[str]
) -> None:
    published = [PublishedPort(HostPort(host, number), ContainerPort(number)) for number in range(8000, 8500)]
    # These have one each: a gap, and other ports in the container.
    published += [PublishedPort(HostPort(host, number), ContainerPort(number)) for number in (8501, 8503)]
    published += [PublishedPort(HostPort(host, number), ContainerPort(number - 1)) for number in (8504, 8505)]
    text = plan_routes("web", "web-0", [Route(port, address, None) for port in published])
    for chain in (f"HANOVERD-web-{name}" for name in chains):
        rules = [line for line in text.splitlines() if line.startswith(f"-A {chain}") and "--dport" in line]
        assert len(rules) == 5
        assert rules[0] == (
            f'-A {chain} -p tcp -m tcp --dport 8000:8499 -m comment --comment "hanoverd: web-0"'
            f" -j DNAT --to-destination {address}"
        )
    table = parse_table(text, family=published[0].host.family)
    assert published_ports("web", table) == published
    assert [claim.host for claim in claims(table)] == [port.host for port in published]
    assert routed_version("web", table) == ("web-0", address)


def test_without_a_proxy_local_clients_go_straight_to_the_container_too() -> None:
    direct = replace(WEB, proxy=None)
    rules = [
        line for line in plan_routes("web", "web-0", [direct], parse_table(DOCKER)).splitlines() if "--dport" in line
    ]
    assert [rule.partition(" -j ")[2] for rule in rules] == ["DNAT --to-destination 172.17.0.3:80"] * 2


def test_a_later_flip_leaves_jumps_that_are_right_alone() -> None:
    assert "PREROUTING" not in plan_routes("web", "web-1", [WEB], after(JUMP_IN, JUMP_OUT))


def test_jumps_that_another_firewall_tool_flushed_are_put_back() -> None:
    text = plan_routes("web", "web-1", [WEB], after(JUMP_OUT))
    assert "-I PREROUTING 1 -m addrtype --dst-type LOCAL -j HANOVERD-web-IN" in text
    assert "OUTPUT" not in text


@pytest.mark.parametrize(
    ("removed", "are_gone"),
    [
        ("", False),
        ("-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n", True),
        # An engine that makes no rules (--iptables=false).
        ("".join(line for line in DOCKER.splitlines(keepends=True) if "DOCKER" in line), False),
    ],
)
def test_the_rules_of_the_engine_are_gone_when_its_chain_is_there_without_a_jump(removed: str, are_gone: bool) -> None:
    kept = [line for line in DOCKER.splitlines(keepends=True) if line not in removed.splitlines(keepends=True)]
    assert are_engine_rules_gone(parse_table("".join(kept))) is are_gone


def test_a_jump_that_stands_twice_is_deleted_twice_and_inserted_once() -> None:
    text = plan_routes("web", "web-1", [WEB], after(JUMP_IN, JUMP_IN, JUMP_OUT))
    assert text.count(JUMP_IN.replace("-A", "-D", 1)) == 2
    assert text.count("-I PREROUTING") == 1


def test_a_jump_behind_dockers_is_moved_ahead_of_it() -> None:
    saved = DOCKER.replace("-A OUTPUT", JUMP_IN + "\n-A OUTPUT", 1)
    lines = plan_routes("web", "web-1", [WEB], parse_table(saved)).splitlines()
    assert lines.index(JUMP_IN.replace("-A", "-D", 1)) < lines.index(
        JUMP_IN.replace("-A PREROUTING", "-I PREROUTING 1")
    )


def test_jumps_that_are_not_looked_at_are_left_alone() -> None:
    assert "PREROUTING" not in plan_routes("web", "web-1", [WEB])


@pytest.mark.parametrize(
    ("jumps", "wrong"),
    [
        ((JUMP_IN, JUMP_OUT), None),
        ((JUMP_OUT,), "the jump from PREROUTING to HANOVERD-web-IN is gone"),
        ((JUMP_IN, JUMP_IN, JUMP_OUT), "PREROUTING jumps to HANOVERD-web-IN twice"),
        ((), "the jump from PREROUTING to HANOVERD-web-IN is gone"),
    ],
)
def test_jumps_are_right_when_there_is_one_each(jumps: tuple[str, ...], wrong: str | None) -> None:
    assert find_problem("web", "web-0", [], after(*jumps)) == wrong


def test_a_repair_changes_the_jumps_only_where_they_are_wrong() -> None:
    assert "-I " not in plan_routes("web", "web-0", [], after(JUMP_IN, JUMP_OUT))
    for jumps in ((JUMP_OUT,), (JUMP_IN, JUMP_IN, JUMP_OUT), ()):
        assert "-I PREROUTING 1" in plan_routes("web", "web-0", [], after(*jumps))


def test_a_jump_may_stand_behind_those_of_other_apps() -> None:
    other = "-A PREROUTING -m addrtype --dst-type LOCAL -j HANOVERD-other-IN"
    assert "-I PREROUTING" not in plan_routes("web", "web-1", [WEB], after(other, JUMP_IN, JUMP_OUT))


def test_removal_takes_out_jumps_and_chains_and_nothing_else() -> None:
    lines = plan_removal("web", after(JUMP_IN, JUMP_IN, JUMP_OUT))
    assert lines is not None
    assert lines.splitlines() == [
        "*nat",
        ":HANOVERD-web-IN - [0:0]",
        ":HANOVERD-web-OUT - [0:0]",
        ":HANOVERD-web-SRC - [0:0]",
        JUMP_IN.replace("-A", "-D", 1),
        JUMP_IN.replace("-A", "-D", 1),
        JUMP_OUT.replace("-A", "-D", 1),
        JUMP_SRC.replace("-A", "-D", 1),
        "-X HANOVERD-web-IN",
        "-X HANOVERD-web-OUT",
        "-X HANOVERD-web-SRC",
        "COMMIT",
    ]


def test_there_is_nothing_to_remove_where_the_app_has_no_chain() -> None:
    assert plan_removal("web", parse_table(DOCKER)) is None
    assert plan_removal("we", after(JUMP_IN, JUMP_OUT)) is None


def test_a_commit_of_nothing_is_well_formed() -> None:
    assert plan_nothing() == "*nat\nCOMMIT\n"


@pytest.mark.parametrize("app", ["a", "web", "x" * 15, "x" * 16, "a-rather-long-name.of_an-app", "y" * 60])
def test_chain_names_are_within_the_kernels_limit(app: str) -> None:
    chains = chains_of(app)
    assert max(len(chains.incoming), len(chains.local)) <= LONGEST_CHAIN_NAME
    assert chains.incoming != chains.local


def test_an_app_that_is_called_as_another_is_cut_gets_chains_of_its_own() -> None:
    cut = chains_of("my-very-long-application").incoming.removeprefix("HANOVERD-").removesuffix("-IN")
    assert chains_of(cut) != chains_of("my-very-long-application")
    assert chains_of("frontend-202411").incoming == "HANOVERD-frontend+202411-IN"


@pytest.mark.parametrize(
    ("app", "chain"),
    [
        ("web", "HANOVERD-web-IN"),
        ("fifteen-letters", "HANOVERD-fifteen-letters-IN"),
        ("frontend-2024-1", "HANOVERD-frontend-2024-1-IN"),
        ("my-very-long-application", "HANOVERD-my-very--51f6a5-IN"),
    ],
)
def test_names_keep_the_chains_that_they_have_had(app: str, chain: str) -> None:
    assert chains_of(app).incoming == chain


def test_no_name_that_is_cut_has_the_chains_of_another_app() -> None:
    assert chains_of("abcdefgh-production-shop").incoming == "HANOVERD-abcdefgh-3e302d-IN"
    assert chains_of("abcdefgh-3e302d").incoming == "HANOVERD-abcdefgh+3e302d-IN"


NAMES = st.from_regex(r"[a-z0-9][a-z0-9_.-]{1,30}", fullmatch=True)


@given(NAMES, NAMES)
def test_no_two_apps_share_a_chain(one: str, other: str) -> None:
    # Also the name that the one's chain has.
    shown = chains_of(one).incoming.removeprefix("HANOVERD-").removesuffix("-IN")
    for app in {other, shown} - {one}:
        own, others = chains_of(one), chains_of(app)
        assert len({own.incoming, own.local, others.incoming, others.local}) == 4


def test_long_names_that_start_alike_get_chains_of_their_own() -> None:
    assert chains_of("x" * 30 + "1") != chains_of("x" * 30 + "2")


def test_claims_are_read_back_from_the_rules_as_iptables_save_prints_them() -> None:
    saved = (
        '-A HANOVERD-web-IN -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0" -j DNAT --to-destination 1:80\n'
        '-A HANOVERD-api-IN -d 10.0.0.1/32 -p tcp -m tcp --dport 81 -m comment --comment "x" -j DNAT --to-destination 1:80\n'
        "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 172.17.0.2:80\n"
    )
    assert claims(parse_table(saved)) == [
        Claim("HANOVERD-web-IN", WEB.port.host),
        Claim("HANOVERD-api-IN", HostPort(IPv4Address("10.0.0.1"), 81)),
    ]


def test_the_host_ports_of_an_app_are_read_back_from_its_rules() -> None:
    saved = (
        '-A HANOVERD-web-IN -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0" -j DNAT --to-destination 1:80\n'
        '-A HANOVERD-web-IN -p tcp -m tcp --dport 8081 -m comment --comment "hanoverd: web-0" -j DNAT --to-destination 1:80\n'
        '-A HANOVERD-web-IN -d 10.0.0.1/32 -p tcp -m tcp --dport 443 -m comment --comment "x" -j DNAT --to-destination 1:99\n'
        '-A HANOVERD-web-OUT -p tcp -m tcp --dport 82 -m comment --comment "x" -j DNAT --to-destination 1:80\n'
        '-A HANOVERD-api-IN -p tcp -m tcp --dport 81 -m comment --comment "x" -j DNAT --to-destination 1:80\n'
    )
    assert published_ports("web", parse_table(saved)) == [
        WEB.port,
        PublishedPort(HostPort(ANY_IPV4, 8081), ContainerPort(80)),
        PublishedPort(HostPort(IPv4Address("10.0.0.1"), 443), ContainerPort(99)),
    ]
    assert published_ports("other", parse_table(saved)) == []


def test_the_host_ports_that_a_flip_routes_are_those_that_are_read_back() -> None:
    assert published_ports("web", parse_table(plan_routes("web", "web-0", [WEB, ADMIN]))) == [WEB.port, ADMIN.port]
