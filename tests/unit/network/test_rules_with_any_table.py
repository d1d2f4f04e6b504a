"""Whatever another program has made of the firewall: the plans are right, and touch nothing that is not the app's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.network.chains import PREFIX, chains_of
from hanoverd.network.iptables import Table, parse_table
from hanoverd.network.route import Route
from hanoverd.network.rules import (
    Claim,
    RoutedVersion,
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
    HIGHEST_PORT,
    LOOPBACK,
    ContainerPort,
    Family,
    HostPort,
    Protocol,
    PublishedPort,
)
from tests.fakes import table as fake

APP, OTHER = "web", "api"
OWN = chains_of(APP)

#: A table of the model: chains by name, each with its rules in order.
Chains = dict[str, list[str]]

NUMBERS = st.integers(1, HIGHEST_PORT)
PROTOCOLS = st.sampled_from([Protocol.TCP, Protocol.UDP])
PORTS = st.builds(
    lambda address, number, container, protocol: PublishedPort(
        HostPort(address, number, protocol), ContainerPort(container, protocol)
    ),
    st.just(ANY_IPV4) | st.ip_addresses(v=4),
    NUMBERS,
    NUMBERS,
    PROTOCOLS,
)
ADDRESSES = st.ip_addresses(v=4).map(str)
PROXIES = st.none() | st.builds(HostPort, st.just(LOOPBACK), NUMBERS)


@st.composite
def ranges(draw: st.DrawFn) -> list[Route]:
    """The routes of a range of ports, some of which are the same in the container."""
    first, count, protocol = draw(st.integers(1, HIGHEST_PORT - 9)), draw(st.integers(2, 9)), draw(PROTOCOLS)
    address = draw(ADDRESSES)
    offsets = draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=count, max_size=count))
    return [
        Route(
            PublishedPort(HostPort(ANY_IPV4, number, protocol), ContainerPort(number + offset, protocol)),
            address,
            draw(PROXIES),
        )
        for number, offset in enumerate(offsets, first)
    ]


NETWORKS = st.sampled_from(["", "172.17.0.0/16", "10.0.0.0/24"])
ROUTES = st.lists(st.builds(Route, PORTS, ADDRESSES, PROXIES, NETWORKS), max_size=4) | ranges()
VERSIONS = st.integers(0, 999).map(lambda number: f"{APP}-{number}")

#: Rules of other programs, some of which no parser could make sense of.
FOREIGN_RULES = st.sampled_from(
    [
        "-m addrtype --dst-type LOCAL -j DOCKER",
        "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER",
        f"-m addrtype --dst-type LOCAL -j {chains_of(OTHER).incoming}",
        f'-m comment --comment "-j {OWN.incoming}" -j DOCKER',
        '-p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0" -j DNAT --to-destination 172.17.0.9:80',
        "-p udp -m multiport --dports 53,5353 -j REDIRECT --to-ports 53",
        "-m comment --comment -j -g ELSEWHERE",
        '-m comment --comment "an open quote -j X',
        "[unsupported revision]",
        "-j",
        "! ! -!",
        "\N{SNOWMAN}\x85\u2028",
    ]
)

#: What meddling leaves of our own: rules in our chains, and jumps to them.
OWN_RULES = st.sampled_from(
    [
        '-p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: web-0" -j DNAT --to-destination 172.17.0.2:80',
        "-j ACCEPT",
        "--dport many -j DNAT --to-destination nowhere",
    ]
)


@st.composite
def tables(draw: st.DrawFn) -> Chains:
    """A table, in which the app's chains and jumps may be there, be missing, or stand in any place."""
    chains: Chains = {name: draw(st.lists(FOREIGN_RULES, max_size=3)) for name in fake.BUILT_IN}
    for name in ("DOCKER", "ELSEWHERE", chains_of(OTHER).incoming):
        chains[name] = draw(st.lists(FOREIGN_RULES, max_size=2))
    for jump in OWN.jumps(Family.IPV4):
        if draw(st.booleans()):
            chains[jump.chain] = draw(st.lists(OWN_RULES, max_size=2))
            for _ in range(draw(st.integers(0, 2))):
                place = draw(st.integers(0, len(chains[jump.hook])))
                chains[jump.hook].insert(place, " ".join(jump.options))
    return chains


def parsed(chains: Chains) -> Table:
    return parse_table(fake.shown(chains))


def apply(chains: Chains, commit: str) -> Chains:
    """What iptables-restore --noflush makes of a table."""
    changed = {name: list(rules) for name, rules in chains.items()}
    for line in commit.split("\n"):
        if line and line[0] not in "*#" and line != "COMMIT":
            fake.apply(changed, line)
    return changed


def foreign(chains: Chains) -> Chains:
    """All that is not the app's: other chains, without the jumps to the app's."""
    jumps = {" ".join(jump.options) for jump in OWN.jumps(Family.IPV4)}
    return {
        name: [rule for rule in rules if rule not in jumps] for name, rules in chains.items() if name not in OWN.names
    }


@given(tables(), VERSIONS, ROUTES)
def test_after_the_commit_the_rules_are_right_and_all_others_as_before(
    chains: Chains, version: str, routes: Sequence[Route]
) -> None:
    after = apply(chains, plan_routes(APP, version, routes, parsed(chains)))
    assert find_problem(APP, version, routes, parsed(after)) is None
    assert foreign(after) == foreign(chains)
    for jump in OWN.jumps(Family.IPV4):
        targets = [rule.target for rule in parsed(after).rules_of(jump.hook)]
        assert targets.count(jump.chain) == 1
        assert not jump.is_first or all(target.startswith(PREFIX) for target in targets[: targets.index(jump.chain)])
    networks = {(route.address, route.network) for route in routes if route.network}
    own_rules = len({route.address for route in routes})
    assert len(after[OWN.incoming]) - own_rules <= len(after[OWN.local]) <= len(routes)
    assert len(after[OWN.source]) == len(networks)


@given(tables(), VERSIONS, ROUTES)
def test_a_second_commit_changes_nothing(chains: Chains, version: str, routes: Sequence[Route]) -> None:
    after = apply(chains, plan_routes(APP, version, routes, parsed(chains)))
    assert apply(after, plan_routes(APP, version, routes, parsed(after))) == after
    assert apply(after, plan_routes(APP, version, routes)) == after
    assert apply(after, plan_nothing()) == after


@given(tables(), VERSIONS, ROUTES)
def test_a_problem_is_found_exactly_where_the_commit_changes_something(
    chains: Chains, version: str, routes: Sequence[Route]
) -> None:
    problem = find_problem(APP, version, routes, parsed(chains))
    after = apply(chains, plan_routes(APP, version, routes, parsed(chains)))
    assert (problem is None) == (after == chains)


@given(tables(), VERSIONS, ROUTES)
def test_after_the_removal_nothing_of_the_app_is_left_and_all_others_are_as_before(
    chains: Chains, version: str, routes: Sequence[Route]
) -> None:
    for before in (chains, apply(chains, plan_routes(APP, version, routes, parsed(chains)))):
        commit = plan_removal(APP, parsed(before))
        after = before if commit is None else apply(before, commit)
        assert after == foreign(before)
        assert plan_removal(APP, parsed(after)) is None


@given(VERSIONS, ROUTES)
def test_rules_are_read_back_as_they_were_written(version: str, routes: Sequence[Route]) -> None:
    saved = parse_table(plan_routes(APP, version, routes))
    assert published_ports(APP, saved) == [route.port for route in routes]
    assert claims(saved) == [Claim(OWN.incoming, route.port.host) for route in routes]
    assert routed_version(APP, saved) == (RoutedVersion(version, routes[0].address) if routes else None)
    assert published_ports(OTHER, saved) == []
    assert routed_version(OTHER, saved) is None


@given(VERSIONS, ROUTES.filter(bool), st.data())
def test_a_route_to_another_version_or_port_is_a_problem(
    version: str, routes: Sequence[Route], data: st.DataObject
) -> None:
    after = apply(empty(), plan_routes(APP, version, routes, parsed(empty())))
    assert find_problem(APP, f"{version}0", routes, parsed(after)) is not None
    other = data.draw(ROUTES.filter(lambda others: others != routes))
    assert find_problem(APP, version, other, parsed(after)) is not None
    wrong = Route(routes[0].port, str(IPv4Address(int(IPv4Address(routes[0].address)) ^ 1)), routes[0].proxy)
    assert find_problem(APP, version, [wrong, *routes[1:]], parsed(after)) is not None


def empty() -> Chains:
    return {name: [] for name in fake.BUILT_IN}


#: What another program can make of a rule of ours, in a way that changes which packets it matches or where they go.
TAMPERINGS = st.sampled_from(
    [
        lambda text: f"-s 10.0.0.0/8 {text}",
        lambda text: f"-i eth0 {text}",
        lambda text: f"! -s 10.0.0.1/32 {text}",
        lambda text: (
            text.replace("-p tcp -m tcp", "-p udp -m udp") if "-p tcp" in text else f"-m mark --mark 0x1 {text}"
        ),
        lambda text: (
            text.replace("-p udp -m udp", "-p tcp -m tcp") if "-p udp" in text else f"-m mark --mark 0x1 {text}"
        ),
        lambda text: text.replace("--dst-type", "! --dst-type") if "--dst-type" in text else f"-i lo {text}",
        lambda text: text.replace(" -j ", " -g ") if "--dst-type" in text else f"{text} --random",
    ]
)


@given(VERSIONS, ROUTES.filter(bool), TAMPERINGS, st.data())
def test_any_rule_that_was_changed_is_found_and_repaired(
    version: str, routes: Sequence[Route], tamper: Callable[[str], str], data: st.DataObject
) -> None:
    right = apply(empty(), plan_routes(APP, version, routes, parsed(empty())))
    chain = data.draw(st.sampled_from([OWN.incoming, OWN.local, *(jump.hook for jump in OWN.jumps(Family.IPV4))]))
    place = data.draw(st.integers(0, len(right[chain]) - 1))
    wrong = {name: list(rules) for name, rules in right.items()}
    wrong[chain][place] = tamper(right[chain][place])
    assert find_problem(APP, version, routes, parsed(wrong)) is not None
    assert apply(wrong, plan_routes(APP, version, routes, parsed(wrong))) == right


@given(VERSIONS, ROUTES)
def test_each_rule_matches_its_protocol(version: str, routes: Sequence[Route]) -> None:
    table = parse_table(plan_routes(APP, version, routes))
    for chain in (OWN.incoming, OWN.local):
        protocols = {rule.value("-p") for rule in table.rules_of(chain) if rule.value("--dport")}
        assert protocols == {route.port.host.protocol for route in routes}
