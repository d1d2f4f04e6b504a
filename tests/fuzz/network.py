"""What other programs print about the host's network: ``iptables-save`` and ``conntrack -L``."""

from __future__ import annotations

from collections.abc import Mapping

from hanoverd.network.conntrack import count_open
from hanoverd.network.iptables import Table, delete, parse_table
from hanoverd.network.rules import (
    claims,
    find_problem,
    plan_removal,
    plan_routes,
    published_ports,
    routed_version,
)
from tests.fuzz.target import Target

_APP = "web"


def _text(data: bytes) -> str:
    # As the output of a program is read.
    return data.decode("utf-8", "replace")


def _check_table(data: bytes, table: Table) -> None:
    lines = _text(data).split("\n")
    for rule in table.rules:
        # It is deleted by exactly these words, and no other rule is.
        assert any(line.endswith(f"-A {rule.chain} {rule.text}".rstrip()) or rule.text in line for line in lines)
        assert "\n" not in delete(rule)
        assert len(rule.matches) <= len(rule.options)
    assert sum(len(table.rules_of(chain)) for chain in {rule.chain for rule in table.rules}) == len(table.rules)
    claims(table)
    published_ports(_APP, table)
    routed_version(_APP, table)
    find_problem(_APP, "web-1", [], table)
    for plan in (plan_routes(_APP, "web-1", [], table), plan_removal(_APP, table)):
        assert plan is None or (plan.startswith("*nat\n") and plan.endswith("\nCOMMIT\n"))


def _check_counts(data: bytes, counts: Mapping[str, int]) -> None:
    # A connection has two sources: the client, and what answers it.
    assert sum(counts.values()) <= _text(data).count(" src=") // 2
    assert all(count > 0 and not address.split()[1:] for address, count in counts.items())


IPTABLES = Target(
    "iptables-save",
    lambda data: parse_table(_text(data)),
    _check_table,
    words=(
        *("*nat\n", ":HANOVERD-", " - [0:0]\n", "-A ", "-j ", "--dport ", "-m comment --comment ", '"hanoverd: web-1"'),
        *("-j DNAT --to-destination ", "-j REDIRECT --to-ports ", "COMMIT\n", "! ", "[1:60] ", '\\"', "/32"),
    ),
)

CONNTRACK = Target(
    "conntrack",
    lambda data: count_open(_text(data)),
    _check_counts,
    words=(" ESTABLISHED src=", " CLOSE_WAIT src=", " SYN_RECV src=", " dst=", " sport=80", " src=", "[ASSURED]", "\n"),
)
