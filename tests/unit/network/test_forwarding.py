"""What keeps clients elsewhere from the containers, from the rules as iptables-save prints them."""

from __future__ import annotations

import pytest

from hanoverd.network.forwarding import find_obstacles
from hanoverd.network.iptables import parse_table
from hanoverd.spec.engine_setup import EngineSetup

IPTABLES = EngineSetup("28.5.2", "iptables")
OLD = EngineSetup("20.10.24")
NFTABLES = EngineSetup("29.1.0", "nftables")
FIREWALLD = EngineSetup("29.1.0", "nftables+firewalld")

#: What an engine that changed to nftables leaves: the policy, and the chain of the administrator.
LEFTOVER = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
"""

#: Docker 20.10 and 28.5 with a published port on 127.0.0.1.
DOCKER_20 = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
COMMIT
"""
DOCKER_28 = """\
*filter
:FORWARD DROP [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
COMMIT
"""


def obstacles(engine: EngineSetup, saved: str, *, forwards: bool = True) -> list[str]:
    """What is found in the output of iptables-save."""
    return find_obstacles(engine, parse_table(saved, "filter"), forwards=forwards)


def with_rules(*rules: str) -> str:
    """The leftover, with these rules of the administrator."""
    return LEFTOVER.replace("COMMIT", "\n".join([*(f"-A {rule}" for rule in rules), "COMMIT"]))


@pytest.mark.parametrize("engine", [NFTABLES, FIREWALLD])
def test_a_policy_that_is_left_blocks_what_an_engine_accepts_with_nftables(engine: EngineSetup) -> None:
    assert obstacles(engine, LEFTOVER) == [
        "iptables drops what no rule accepts (the policy of the chain FORWARD is DROP), and what Docker 29.1.0 accepts with "
        "nftables, iptables drops nevertheless. Run `iptables -P FORWARD ACCEPT`, or add a rule that accepts packets to the "
        "containers and their answers"
    ]
    assert obstacles(engine, LEFTOVER.replace("FORWARD DROP", "FORWARD ACCEPT")) == []
    assert obstacles(engine, "") == []


def test_the_rules_of_an_engine_with_iptables_accept_what_it_publishes() -> None:
    assert obstacles(OLD, DOCKER_20) == []
    assert obstacles(IPTABLES, DOCKER_28) == []
    # Those that an engine with nftables has left do not.
    assert len(obstacles(NFTABLES, DOCKER_20)) == 1


@pytest.mark.parametrize("engine", [OLD, IPTABLES, EngineSetup()])
def test_an_engine_without_rules_of_its_own(engine: EngineSetup) -> None:
    [reason] = obstacles(engine, LEFTOVER)
    assert f"{engine} has no rules there (--iptables=false)" in reason


@pytest.mark.parametrize(
    ("rules", "is_blocked"),
    [
        (["FORWARD -o docker0 -j ACCEPT"], False),
        (["FORWARD -d 172.17.0.0/16 -p tcp -j ACCEPT"], False),
        (["FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT"], False),
        (["FORWARD -m conntrack --ctstate DNAT -j ACCEPT"], False),
        (["DOCKER-USER -i eth0 -j ACCEPT"], False),
        (["FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"], True),
        (["FORWARD -m state --state ESTABLISHED -j ACCEPT"], True),
        (["FORWARD -p icmp -j ACCEPT"], True),
        (["FORWARD -j REJECT"], True),
        (["INPUT -j ACCEPT"], True),
        (["DOCKER-USER -j FORWARD", "FORWARD -j DOCKER-USER"], True),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_the_administrators_own_rules_may_accept_it(rules: list[str], is_blocked: bool) -> None:
    assert bool(obstacles(NFTABLES, with_rules(*rules))) is is_blocked


def test_a_host_that_does_not_forward_is_one_whatever_the_rules_are() -> None:
    [reason] = obstacles(OLD, DOCKER_20, forwards=False)
    assert reason == (
        "this host forwards no packets (net.ipv4.ip_forward is 0), and Docker 20.10.24 does not switch it on "
        "(--ip-forward=false), or another program has switched it off since. Run `sysctl -w net.ipv4.ip_forward=1`, and write "
        "net.ipv4.ip_forward=1 to a file in /etc/sysctl.d, so that it stays on"
    )
    [reason, _] = obstacles(NFTABLES, LEFTOVER, forwards=False)
    assert "and Docker 29.1.0, which uses nftables, does not switch it on" in reason


def test_an_engine_that_does_not_say_what_it_is_has_a_name_too() -> None:
    assert str(EngineSetup()) == "the Docker engine"
