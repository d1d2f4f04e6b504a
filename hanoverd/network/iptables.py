"""The language of ``iptables-save`` and ``iptables-restore``: a table as values, and changes of it as text. Pure.

A line is ``*TABLE``, ``:CHAIN POLICY [PACKETS:BYTES]``, ``-A CHAIN OPTIONS``, with the rule's own ``[PACKETS:BYTES]`` before
it if they were asked for, ``COMMIT``, or a comment after ``#`` (iptables-save(8), and ``xtables_save_string`` for the quotes).
A line of any other form is ignored, so that no rule of another program can be an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from hanoverd.spec.ports import Family

#: The table in which the kernel looks up where a new connection goes, and the one that lets packets pass.
NAT, FILTER = "nat", "filter"

_RULE = re.compile(r"(?:\[([0-9]{1,20}):([0-9]{1,20})\] )?-A (\S+)(?: (.*))?")

#: A word: in double quotes, with backslashes, where it holds more than letters, digits, hyphens and underscores.
_WORD = re.compile(r'"((?:[^"\\]|\\.)*+)"|(\S+)', re.DOTALL)


@dataclass(frozen=True)
class Counters:
    """How many packets and bytes a rule has matched."""

    packets: int
    bytes: int


@dataclass(frozen=True, order=True)
class Option:
    """An option of a rule with its values: ``--dport 8080``; ``is_negated`` where a ``!`` stands before it."""

    name: str
    values: tuple[str, ...] = ()
    is_negated: bool = False


@dataclass(frozen=True)
class Rule:
    """A rule.  ``text`` is exactly what is printed after the chain's name: a rule is deleted by that text."""

    table: str
    chain: str
    text: str
    counters: Counters | None = field(default=None, compare=False)

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """All options, in order."""
        return _parse_options(self.text)

    @cached_property
    def target(self) -> str:
        """The target, or the chain that the rule jumps to; "" for a rule without."""
        return next((option.values[0] for option in self.options if _is_target(option)), "")

    @property
    def matches(self) -> tuple[Option, ...]:
        """The conditions: all options before the target but the comment."""
        end = next((index for index, option in enumerate(self.options) if _is_target(option)), len(self.options))
        return tuple(option for option in self.options[:end] if option.name != "--comment")

    @property
    def comment(self) -> str:
        """The comment; "" for a rule without."""
        return self.value("--comment") or ""

    def value(self, *names: str) -> str | None:
        """Return the value of the first option with one of ``names``; None without, or where it is negated."""
        for option in self.options:
            if option.name in names and option.values and not option.is_negated:
                return option.values[0]
        return None


@dataclass(frozen=True)
class Table:
    """One table of a family of addresses.

    It has the names of its chains, its rules in their order, and the policies of the built-in chains.
    """

    name: str
    chains: frozenset[str]
    rules: tuple[Rule, ...]
    family: Family = Family.IPV4
    policies: Mapping[str, str] = field(default_factory=dict)

    def rules_of(self, chain: str) -> tuple[Rule, ...]:
        """Return the rules of a chain in their order."""
        return self._by_chain.get(chain, ())

    @cached_property
    def _by_chain(self) -> dict[str, tuple[Rule, ...]]:
        found: dict[str, list[Rule]] = {}
        for rule in self.rules:
            found.setdefault(rule.chain, []).append(rule)
        return {chain: tuple(rules) for chain, rules in found.items()}


def parse_table(saved: str, name: str = NAT, family: Family = Family.IPV4) -> Table:
    """Return one table of the output of ``iptables-save``; it is empty where the output does not have it."""
    policies: dict[str, str] = {}
    rules: list[Rule] = []
    table = name
    # Not splitlines(): a comment may hold what Unicode takes for the end of a line.
    for line in saved.split("\n"):
        if line.startswith("*"):
            table = line[1:].strip()
        elif table != name:
            continue
        elif line.startswith(":"):
            chain, policy, *_ = [*line[1:].split(" "), ""]
            policies[chain] = policy
        elif found := _RULE.fullmatch(line):
            packets, size, chain, text = found.groups()
            rules.append(Rule(name, chain, text or "", None if packets is None else Counters(int(packets), int(size))))
    return Table(
        name,
        frozenset(policies),
        tuple(rules),
        family,
        {chain: policy for chain, policy in policies.items() if policy not in ("", "-")},
    )


def commit(changes: Iterable[str], table: str = NAT) -> str:
    """Return the input of ``iptables-restore --noflush`` that makes all changes of a table at once, or none."""
    return "\n".join([f"*{table}", *changes, "COMMIT", ""])


def declare(chain: str) -> str:
    """Return the change that creates a chain, or empties the one that exists."""
    return f":{chain} - [0:0]"


def append(chain: str, options: Iterable[str]) -> str:
    """Return the change that appends a rule to a chain."""
    return " ".join([f"-A {chain}", *options])


def insert_first(chain: str, options: Iterable[str]) -> str:
    """Return the change that puts a rule before all others of a chain."""
    return insert(chain, 1, options)


def insert(chain: str, position: int, options: Iterable[str]) -> str:
    """Return the change that puts a rule at a position of a chain, from 1."""
    return " ".join([f"-I {chain} {position}", *options])


def delete(rule: Rule) -> str:
    """Return the change that deletes a rule; of several that are equal, the first."""
    return f"-D {rule.chain} {rule.text}"


def delete_chain(chain: str) -> str:
    """Return the change that deletes a chain, which must be empty, and no rule may jump to it."""
    return f"-X {chain}"


def _is_target(option: Option) -> bool:
    return option.name in ("-j", "-g") and bool(option.values)


def _parse_options(text: str) -> tuple[Option, ...]:
    options: list[tuple[str, list[str], bool]] = []
    is_negated = False
    for word in _WORD.finditer(text):
        quoted, plain = word.groups()
        last = options[-1] if options else None
        # A comment is printed without quotes where it can be: ``--comment -j`` has one that reads "-j".
        is_value = quoted is not None or (last is not None and last[0] == "--comment" and not last[1])
        if not is_value and plain == "!":
            is_negated = True
        elif not is_value and plain.startswith("-"):
            options.append((plain, [], is_negated))
            is_negated = False
        elif last is not None:
            value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            last[1].append(value)
    return tuple(Option(name, tuple(values), negated) for name, values, negated in options)
