"""The program behind the fake ``iptables-restore``: a nat table in a file, as ``iptables-save`` prints it.

usage: table.py TABLE
"""

from __future__ import annotations

import itertools
import os
import sys

BUILT_IN = ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")


def read(path: str) -> dict[str, list[str]]:
    """The chains with their rules."""
    chains: dict[str, list[str]] = {name: [] for name in BUILT_IN}
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        for line in file.read().split("\n"):
            if line.startswith(":"):
                chains.setdefault(line[1:].split(maxsplit=1)[0], [])
            elif line.startswith("-A "):
                _, chain, rule = line.split(" ", 2)
                chains[chain].append(rule)
    return chains


def shown(chains: dict[str, list[str]]) -> str:
    """As iptables-save prints them."""
    lines = ["*nat"]
    lines += [f":{name} {'ACCEPT' if name in BUILT_IN else '-'} [0:0]" for name in chains]
    lines += [f"-A {name} {rule}" for name, rules in chains.items() for rule in rules]
    return "\n".join([*lines, "COMMIT", ""])


def apply(chains: dict[str, list[str]], line: str) -> None:
    """One line of iptables-restore --noflush; ValueError where it cannot be done."""
    if line.startswith(":"):
        chains[line[1:].split(maxsplit=1)[0]] = []
        return
    command, chain, *rest = line.split(" ", 2)
    if chain not in chains:
        raise ValueError("No chain/target/match by that name")
    rule = rest[0] if rest else ""
    if command == "-A":
        words = rule.split()
        for option, value in itertools.pairwise(words):
            if option in ("-d", "--to-destination") and set(value) - set("0123456789abcdef./:[]"):
                raise ValueError("host/network not found")
        chains[chain].append(rule)
    elif command == "-I":
        position, rule = rule.split(" ", 1)
        chains[chain].insert(int(position) - 1, rule)
    elif command == "-D":
        if rule not in chains[chain]:
            raise ValueError("Bad rule (does a matching rule exist in that chain?)")
        chains[chain].remove(rule)
    elif command == "-X":
        if chains[chain] or any(rule.endswith(f"-j {chain}") for rules in chains.values() for rule in rules):
            raise ValueError("Directory not empty")
        del chains[chain]
    else:
        raise ValueError(f"unknown command {command}")


def main() -> int:
    """Restore from standard input, all or nothing."""
    path = sys.argv[1]
    chains = read(path)
    for number, line in enumerate(sys.stdin.read().split("\n"), 1):
        try:
            if line and line[0] not in "*#" and line != "COMMIT":
                apply(chains, line)
        except ValueError as error:
            sys.stderr.write(f"iptables-restore: line {number} failed: {error}.\n")
            return 1
    with open(f"{path}.new", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(shown(chains))
    os.rename(f"{path}.new", path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
