"""Decides whether an app is in order: hanoverd's status, the rules and the engine agree, and nothing is left over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.words import APP, CHAIN, COMMENT, IS_LIVE, KEPT

#: How many versions hanoverd keeps for a rollback by default (--keep-versions).
MOST_KEPT = 3


def problems(status: Mapping[str, Any], rules: str, containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the problems, one sentence each.

    ``status`` is hanoverd's, ``rules`` is the output of ``iptables-save``, and ``containers`` are all containers of the
    engine, whatever their names, as it lists them.
    """
    live = (status["live"] or {}).get("version", "")
    if status["state"] != IS_LIVE or not live:
        return [f"the status is {status['state']}, and {live or 'no version'} is live"]
    address = str(status["live"]["address"])
    return [
        *_of_hanoverd(status),
        *_of_the_engine(status, containers, live, address),
        *_of_the_rules(rules, live, address),
    ]


def named(rules: str) -> set[str]:
    """Return the versions that the rules name."""
    return set(re.findall(rf'"{re.escape(COMMENT)}({re.escape(APP)}-\d+)"', rules))


def name_of(container: Mapping[str, Any]) -> str:
    """Return the name of a container as the engine lists it."""
    return str(container["Names"][0]).lstrip("/")


def _of_hanoverd(status: Mapping[str, Any]) -> list[str]:
    found = []
    if status["draining"]:
        found.append(f"{', '.join(status['draining'])} still drain")
    if status["paused"] or status["held"]:
        found.append("hanoverd is paused")
    return found


def _of_the_engine(
    status: Mapping[str, Any], containers: Sequence[Mapping[str, Any]], live: str, address: str
) -> list[str]:
    found = []
    states = {name_of(container): container["State"] for container in containers}
    if states.pop(live, "not there") != "running":
        found.append(f"{live} does not run")
    kept = {name for name, state in states.items() if re.fullmatch(rf"{APP}-\d+{KEPT}", name) and state != "running"}
    listed = {f"{APP}-{one['number']}{KEPT}" for one in status["kept"]}
    if kept != listed or len(kept) > MOST_KEPT:
        found.append(f"{sorted(kept)} are kept, and the status lists {sorted(listed)}")
    found += [f"{name} is left over, and {state}" for name, state in states.items() if name not in kept]
    addresses = [
        network["IPAddress"]
        for container in containers
        if name_of(container) == live
        for network in container["NetworkSettings"]["Networks"].values()
    ]
    if address not in addresses:
        found.append(f"{live} is at {addresses}, and the status says {address}")
    return found


def _of_the_rules(saved: str, live: str, address: str) -> list[str]:
    ours = [line for line in saved.splitlines() if line.startswith("-A ") and (CHAIN in line or COMMENT in line)]
    found = [f"twice: {line}" for line, count in Counter(ours).items() if count > 1]
    if named(saved) != {live}:
        found.append(f"the rules name {sorted(named(saved)) or 'no version'}, and {live} is live")
    jumps = [line.split()[1] for line in ours if line.startswith(("-A PREROUTING ", "-A OUTPUT "))]
    if sorted(jumps) != ["OUTPUT", "PREROUTING"]:
        found.append(f"the chains with jumps to ours are {sorted(jumps)}")
    targets = {match[1] for line in ours if (match := re.search(r"--to-destination ([\d.]+):", line))}
    if targets != {address}:
        found.append(f"the rules route to {sorted(targets)}, and {live} is at {address}")
    return found
