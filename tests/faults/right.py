"""What is right, as far as it can be seen from outside: hanoverd, the rules and the engine say the same, and no more."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tests.faults.words import APP, CHAIN, COMMENT, IS_LIVE, KEPT

#: How many versions hanoverd keeps that can be gone back to, where it is not told (--keep-versions).
MOST_KEPT = 1


def complaints(status: Mapping[str, Any], rules: str, containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong, given what hanoverd's status says, what ``iptables-save`` prints of all tables, and all containers of the
    engine, of any name, as it lists them.
    """
    live = (status["live"] or {}).get("version", "")
    if status["state"] != IS_LIVE or not live:
        return [f"hanoverd says that the app is {status['state']}, and {live or 'no version'} is live"]
    address = str(status["live"]["address"])
    return [
        *_of_hanoverd(status),
        *_of_the_engine(status, containers, live, address),
        *_of_the_rules(rules, live, address),
    ]


def named(rules: str) -> set[str]:
    """The versions that the rules name."""
    return set(re.findall(rf'"{re.escape(COMMENT)}({re.escape(APP)}-\d+)"', rules))


def name_of(container: Mapping[str, Any]) -> str:
    """The name of a container as the engine lists it."""
    return str(container["Names"][0]).lstrip("/")


def _of_hanoverd(status: Mapping[str, Any]) -> list[str]:
    wrong = []
    if status["draining"]:
        wrong.append(f"{', '.join(status['draining'])} still drain")
    if status["paused"] or status["held"]:
        wrong.append("hanoverd is paused")
    return wrong


def _of_the_engine(
    status: Mapping[str, Any], containers: Sequence[Mapping[str, Any]], live: str, address: str
) -> list[str]:
    wrong = []
    states = {name_of(container): container["State"] for container in containers}
    if states.pop(live, "not there") != "running":
        wrong.append(f"{live} does not run")
    kept = {name for name, state in states.items() if re.fullmatch(rf"{APP}-\d+{KEPT}", name) and state != "running"}
    listed = {f"{APP}-{one['generation']}{KEPT}" for one in status["kept"]}
    if kept != listed or len(kept) > MOST_KEPT:
        wrong.append(f"kept are {sorted(kept)}, and hanoverd says {sorted(listed)}")
    wrong += [f"{name} is forgotten, and {state}" for name, state in states.items() if name not in kept]
    addresses = [
        network["IPAddress"]
        for container in containers
        if name_of(container) == live
        for network in container["NetworkSettings"]["Networks"].values()
    ]
    if address not in addresses:
        wrong.append(f"{live} is at {addresses}, and hanoverd says at {address}")
    return wrong


def _of_the_rules(saved: str, live: str, address: str) -> list[str]:
    ours = [line for line in saved.splitlines() if line.startswith("-A ") and (CHAIN in line or COMMENT in line)]
    wrong = [f"twice: {line}" for line, count in Counter(ours).items() if count > 1]
    if named(saved) != {live}:
        wrong.append(f"the rules name {sorted(named(saved)) or 'no version'}, and {live} is live")
    jumps = [line.split()[1] for line in ours if line.startswith(("-A PREROUTING ", "-A OUTPUT "))]
    if sorted(jumps) != ["OUTPUT", "PREROUTING"]:
        wrong.append(f"the chains with jumps to ours are {sorted(jumps)}")
    targets = {found[1] for line in ours if (found := re.search(r"--to-destination ([\d.]+):", line))}
    if targets != {address}:
        wrong.append(f"the rules lead to {sorted(targets)}, and {live} is at {address}")
    return wrong
