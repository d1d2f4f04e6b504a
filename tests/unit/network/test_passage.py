"""The rules that let containers on other networks through, planned from the table as iptables-save shows it."""

from __future__ import annotations

from hanoverd.network.iptables import FILTER, Table, parse_table
from hanoverd.network.passage import plan_passage

NETWORK = "172.17.0.0/16"
OWN = [
    f'-d {NETWORK} -m conntrack --ctstate DNAT --ctdir ORIGINAL -m comment --comment "hanoverd: web" -j ACCEPT',
    f'-s {NETWORK} -m conntrack --ctstate DNAT --ctdir REPLY -m comment --comment "hanoverd: web" -j ACCEPT',
]
OTHER_APP = OWN[0].replace("hanoverd: web", "hanoverd: web2")


def table(*rules: str, keeps_apart: bool = True) -> Table:
    isolation = ":DOCKER-ISOLATION-STAGE-1 - [0:0]\n" if keeps_apart else ""
    chain = "".join(f"-A DOCKER-USER {rule}\n" for rule in rules)
    return parse_table(f"*filter\n:DOCKER-USER - [0:0]\n{isolation}{chain}COMMIT\n", FILTER)


def changes(app_networks: list[str], found: Table) -> list[str] | None:
    planned = plan_passage("web", app_networks, found)
    if planned is None:
        return None
    first, *lines, last, end = planned.split("\n")
    assert (first, last, end) == ("*filter", "COMMIT", "")
    return lines


def test_both_directions_are_accepted_before_dockers_rule_that_ends_the_chain() -> None:
    assert changes([NETWORK], table("-j RETURN")) == [f"-I DOCKER-USER 1 {OWN[0]}", f"-I DOCKER-USER 2 {OWN[1]}"]


def test_rules_of_the_user_come_first() -> None:
    assert changes([NETWORK], table("-s 10.0.0.9/32 -j DROP")) == [
        f"-I DOCKER-USER 2 {OWN[0]}",
        f"-I DOCKER-USER 3 {OWN[1]}",
    ]


def test_rules_that_are_right_are_left_alone() -> None:
    assert changes([NETWORK], table(*OWN, "-j RETURN")) is None
    assert changes([NETWORK], table(OTHER_APP, *OWN)) is None


def test_rules_behind_the_end_of_the_chain_are_moved_before_it() -> None:
    deleted = [f"-D DOCKER-USER {rule}" for rule in OWN]
    inserted = [f"-I DOCKER-USER {place} {rule}" for place, rule in zip((1, 2), OWN, strict=True)]
    assert changes([NETWORK], table("-j RETURN", *OWN)) == [*deleted, *inserted]


def test_rules_of_another_network_are_replaced() -> None:
    lines = changes(["10.1.0.0/24"], table(*OWN, "-j RETURN"))
    assert lines is not None
    assert [line.split(" ")[:4] for line in lines] == [
        ["-D", "DOCKER-USER", "-d", NETWORK],
        ["-D", "DOCKER-USER", "-s", NETWORK],
        ["-I", "DOCKER-USER", "1", "-d"],
        ["-I", "DOCKER-USER", "2", "-s"],
    ]


def test_without_a_network_only_the_apps_own_rules_are_removed() -> None:
    assert changes([], table(OTHER_APP, *OWN, "-j RETURN")) == [f"-D DOCKER-USER {rule}" for rule in OWN]
    assert changes([], table(OTHER_APP)) is None


def test_an_engine_that_does_not_keep_its_networks_apart_needs_no_rules() -> None:
    assert changes([NETWORK], table("-j RETURN", keeps_apart=False)) is None
    assert changes([NETWORK], parse_table("", FILTER)) is None
    assert changes([NETWORK], table(*OWN, keeps_apart=False)) == [f"-D DOCKER-USER {rule}" for rule in OWN]
