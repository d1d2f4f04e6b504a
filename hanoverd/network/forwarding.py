"""What keeps clients on other machines from the containers: the kernel's forwarding, and the rules in iptables' FORWARD. Pure.

Clients on the host are not affected: the host sends them on itself, or through the engine's proxy.
"""

from __future__ import annotations

from collections.abc import Iterator

from hanoverd.network.iptables import Rule, Table
from hanoverd.spec.engine_setup import EngineSetup

#: The chains to which an engine's own rules in FORWARD jump. DOCKER-USER is not one: it has no rules of the engine, and stays
#: when an engine changes to nftables ("Docker with nftables" in Docker's documentation).
_ENGINE_CHAINS = frozenset({"DOCKER", "DOCKER-FORWARD", "DOCKER-ISOLATION-STAGE-1"})

_FORWARD = "FORWARD"


def find_obstacles(engine: EngineSetup, table: Table, *, forwards: bool) -> list[str]:
    """Return what keeps clients elsewhere from a published port, each with what to do.

    ``table`` is the table ``filter``; ``forwards``: whether the kernel forwards packets.
    """
    found = []
    if not forwards:
        found.append(
            "this host forwards no packets (net.ipv4.ip_forward is 0), "
            f"and {_why_not_forwarding(engine)}. Run `sysctl -w net.ipv4.ip_forward=1`, and write net.ipv4.ip_forward=1 to a "
            "file in /etc/sysctl.d, so that it stays on"
        )
    if _drops_forwarded(engine, table):
        found.append(
            "iptables drops what no rule accepts (the policy of the chain FORWARD is DROP), and "
            f"{_why_not_accepting(engine)}. Run `iptables -P FORWARD ACCEPT`, or add a rule that accepts packets to the "
            "containers and their answers"
        )
    return found


def _why_not_forwarding(engine: EngineSetup) -> str:
    if engine.uses_nftables:
        return f"{engine}, which uses nftables, does not switch it on"
    return f"{engine} does not switch it on (--ip-forward=false), or another program has switched it off since"


def _why_not_accepting(engine: EngineSetup) -> str:
    if engine.uses_nftables:
        return f"what {engine} accepts with nftables, iptables drops nevertheless"
    return f"{engine} has no rules there (--iptables=false)"


def _drops_forwarded(engine: EngineSetup, table: Table) -> bool:
    """Return whether no rule can accept a new connection to a container, and the policy drops it."""
    if table.policies.get(_FORWARD) != "DROP":
        return False
    if not engine.uses_nftables and any(rule.target in _ENGINE_CHAINS for rule in table.rules_of(_FORWARD)):
        return False
    # Rules of the administrator are not interpreted any further.
    return not any(_may_accept(rule) for rule in _reachable(table, _FORWARD))


def _may_accept(rule: Rule) -> bool:
    state = rule.value("--ctstate", "--state")
    return (
        rule.target == "ACCEPT"
        and rule.value("-p") in (None, "tcp", "udp")
        and (state is None or not {"NEW", "DNAT"}.isdisjoint(state.split(",")))
    )


def _reachable(table: Table, start: str) -> Iterator[Rule]:
    """Yield the rules of a chain and of all chains that it leads to."""
    waiting, seen = [start], {start}
    while waiting:
        for rule in table.rules_of(waiting.pop()):
            yield rule
            if rule.target in table.chains - seen:
                seen.add(rule.target)
                waiting.append(rule.target)
