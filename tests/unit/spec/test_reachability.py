"""How clients reach a container, by its network."""

from __future__ import annotations

import pytest

from hanoverd.spec.reachability import Reachability


@pytest.mark.parametrize(
    ("mode", "reachability"),
    [
        ("", Reachability.ROUTED),
        ("default", Reachability.ROUTED),
        ("bridge", Reachability.ROUTED),
        ("hosts", Reachability.ROUTED),
        ("host", Reachability.HOST),
        ("none", Reachability.NONE),
        ("container:db", Reachability.CONTAINER),
    ],
)
def test_it_follows_from_the_network(mode: str, reachability: Reachability) -> None:
    assert Reachability.of(mode) is reachability


def test_rules_route_only_to_an_address_of_its_own() -> None:
    assert [one for one in Reachability if one.is_routed] == [Reachability.ROUTED]


def test_two_versions_on_the_same_ports_cannot_run_side_by_side() -> None:
    assert [one for one in Reachability if one.shares_ports] == [Reachability.HOST, Reachability.CONTAINER]
