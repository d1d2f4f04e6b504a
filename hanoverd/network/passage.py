"""The rules that let containers on other networks of the engine through to the app. Pure.

Docker keeps its networks apart: up to version 28, packets from one bridge to another are dropped in its chain
DOCKER-ISOLATION-STAGE-2, also the packets of a connection to a published port of the host. Docker leads such clients through its
proxy instead. Its chain DOCKER-USER is for the rules of others: Docker reads it first, and never changes what is in it
(Docker documentation, "Packet filtering and firewalls"). Two rules there accept what a rule of the table ``nat`` has sent to the
app's network. Rules of the user that stand before them decide first.
"""

from __future__ import annotations

from collections.abc import Collection

from hanoverd.network.iptables import FILTER, Rule, Table, commit, delete, insert

#: Docker's chain for the rules of others, and the one that keeps its networks apart.
_USER, _ISOLATION = "DOCKER-USER", "DOCKER-ISOLATION-STAGE-1"

#: The comment of a rule is this and the app.
_COMMENT = "hanoverd: "


def plan_passage(app: str, networks: Collection[str], table: Table) -> str | None:
    """Return the commit after which connections to published ports pass to ``networks``; None where nothing must change.

    ``table`` is the table ``filter``.  Networks are written like ``172.17.0.0/16``.  An engine that does not keep its networks
    apart needs no rules.
    """
    present = [rule for rule in table.rules_of(_USER) if rule.comment == _COMMENT + app]
    wanted = _rules(app, networks) if _ISOLATION in table.chains and _USER in table.chains else []
    others = [rule for rule in table.rules_of(_USER) if rule not in present]
    if [sorted(rule.options) for rule in present] == [sorted(rule.options) for rule in wanted] and not _is_late(
        table, app
    ):
        return None
    changes = [delete(rule) for rule in present]
    # Docker's own last rule there ends the chain: what stands after it is never read.
    position = len(others) if others and _ends(others[-1]) else len(others) + 1
    changes += [insert(_USER, position + index, [rule.text]) for index, rule in enumerate(wanted)]
    return commit(changes, FILTER)


def _rules(app: str, networks: Collection[str]) -> list[Rule]:
    directions = [
        (side, direction, network)
        for network in sorted(networks)
        for side, direction in (("-d", "ORIGINAL"), ("-s", "REPLY"))
    ]
    return [
        Rule(
            FILTER,
            _USER,
            f"{side} {network} -m conntrack --ctstate DNAT --ctdir {direction} "
            f'-m comment --comment "{_COMMENT}{app}" -j ACCEPT',
        )
        for side, direction, network in directions
    ]


def _is_late(table: Table, app: str) -> bool:
    """Return whether a rule of the app stands behind the end of the chain."""
    rules = table.rules_of(_USER)
    end = next((index for index, rule in enumerate(rules) if _ends(rule)), len(rules))
    return any(rule.comment == _COMMENT + app for rule in rules[end:])


def _ends(rule: Rule) -> bool:
    return rule.target == "RETURN" and not rule.matches
