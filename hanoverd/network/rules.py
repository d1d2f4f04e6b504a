"""The firewall rules of an app: what they are, how they differ from what the host has, and the commit that repairs it. Pure.

Each app has three chains of its own in the table ``nat`` of each family. For clients elsewhere, PREROUTING jumps to the first,
which sends connections straight to the container. For clients on this host, OUTPUT jumps to the second, which sends them
through the engine's proxy where there is one. For containers as clients, POSTROUTING jumps to the third. A flip fills all
in one commit, so that all ports of the app move to the next version at the same instant.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import NamedTuple

from hanoverd.network.chains import PREFIX, Chains, Jump, chains_of, is_incoming
from hanoverd.network.iptables import NAT, Rule, Table, append, commit, declare, delete, delete_chain, insert_first
from hanoverd.network.route import Route, runs_of
from hanoverd.spec.ports import (
    ANY_IPV4,
    ANY_IPV6,
    HIGHEST_PORT,
    ContainerPort,
    Family,
    HostPort,
    Protocol,
    PublishedPort,
)
from hanoverd.text.decimal import parse_decimal

#: The comment of a rule is this and the version that it routes to.
_COMMENT = "hanoverd: "

#: Docker's chain.
_ENGINE = "DOCKER"

#: The option of each target that holds the new destination.
_TO = {"DNAT": "--to-destination", "REDIRECT": "--to-ports"}

#: How long an address is, in bits.
_BITS = {Family.IPV4: 32, Family.IPV6: 128}


@dataclass(frozen=True)
class Claim:
    """A host port that the chain of an app routes."""

    chain: str
    host: HostPort


class RoutedVersion(NamedTuple):
    """The version that rules route to: its container's name, and its address."""

    name: str
    address: str


@dataclass(frozen=True)
class PortRule:
    """A rule that sends the new connections to one host port ``to`` a container, or to the engine's proxy.

    ``target`` is DNAT, and ``to`` the container's address and port; or REDIRECT, and the proxy's port.  With a ``count`` above 1
    it is for so many host ports, from ``host`` on; ``to`` is then the container's address alone, and the ports stay the same.
    """

    chain: str
    host: HostPort
    version: str
    target: str
    to: str
    count: int = 1

    @property
    def options(self) -> list[str]:
        """The rule as iptables takes it, in groups of words."""
        host = self.host
        return [
            # Published at one address: connections to the host's other addresses do not match.
            *([] if host.is_at_any_address else [f"-d {host.address}/{_BITS[host.family]}"]),
            # A port belongs to a protocol: -p selects it, and the match of that name (-m) reads the port from its header.
            f"-p {host.protocol} -m {host.protocol} --dport {_numbers(host, self.count)}",
            # The kernel ignores the comment. People, and the next hanoverd, read the version from it.
            _comment(self.version),
            # DNAT rewrites the destination of a connection's first packet, and the kernel does the same for all its later
            # packets (conntrack): a connection stays with its version, and the app sees the client's own address.
            # REDIRECT does the same, and the destination is a port of this host.
            f"-j {self.target} {_TO[self.target]} {self.to}",
        ]

    @property
    def change(self) -> str:
        """The change that adds it to its chain."""
        return append(self.chain, self.options)

    @classmethod
    def parse(cls, rule: Rule, family: Family) -> PortRule | None:
        """Read a rule of the table of a family; None where it is none that hanoverd writes."""
        hosts, to = _host_ports(rule, family), rule.value(*_TO.values())
        if not hosts or to is None:
            return None
        version = rule.comment.removeprefix(_COMMENT) if rule.comment.startswith(_COMMENT) else ""
        return cls(rule.chain, hosts[0], version, rule.target, to, len(hosts))

    @property
    def published(self) -> list[PublishedPort]:
        """The ports that it publishes; none where it goes to the engine's proxy."""
        if self.container is None:
            return []
        container = self.container[1]
        return [
            PublishedPort(
                replace(self.host, number=self.host.number + offset),
                replace(container, number=container.number + offset),
            )
            for offset in range(self.count)
        ]

    @property
    def container(self) -> tuple[str, ContainerPort] | None:
        """The container's address, and its port, or the first of them; None where it goes to the engine's proxy."""
        if self.count > 1:
            return (self.to, ContainerPort(self.host.number, self.host.protocol)) if self.target == "DNAT" else None
        address, _, text = self.to.rpartition(":")
        number = parse_decimal(text)
        if not address or number is None:
            return None
        return address.removeprefix("[").removesuffix("]"), ContainerPort(number, self.host.protocol)


def plan_routes(app: str, version: str, routes: Sequence[Route], table: Table | None = None) -> str:
    """Return the commit after which the app's chains hold ``routes`` and nothing else.

    ``table`` is the table as it is now: wrong jumps are repaired in the same commit. Without it, they are left
    as they are.
    """
    wanted = _wanted(app, version, routes)
    changes = [declare(chain) for chain in wanted]
    changes += [append(chain, options) for chain, rules in wanted.items() for options in rules]
    if table is not None:
        for jump in chains_of(app).jumps(table.family):
            if _jump_problem(table, jump) is not None:
                changes += [delete(rule) for rule in _rules_of(table, jump)]
                changes.append(insert_first(jump.hook, jump.options))
    return commit(changes)


def plan_removal(app: str, table: Table) -> str | None:
    """Return the commit after which nothing of the app is left, None if nothing is there."""
    present = [jump for jump in chains_of(app).jumps(table.family) if jump.chain in table.chains]
    if not present:
        return None
    # A chain is deleted last: the kernel refuses that while it has rules, or any jumps to it.
    changes = [declare(jump.chain) for jump in present]
    changes += [delete(rule) for jump in present for rule in _rules_of(table, jump)]
    return commit([*changes, *(delete_chain(jump.chain) for jump in present)])


def plan_restoring(app: str, table: Table) -> str:
    """Return the commit after which the app's chains hold the rules that they have in ``table``, and nothing else."""
    changes = [declare(chain) for chain in chains_of(app).names]
    changes += [append(rule.chain, [rule.text]) for chain in chains_of(app).names for rule in table.rules_of(chain)]
    return commit(changes)


def plan_nothing() -> str:
    """Return a commit that changes nothing: it shows whether changes are permitted."""
    return commit([])


def find_problem(app: str, version: str, routes: Sequence[Route], table: Table) -> str | None:
    """Return how ``table`` differs from what ``plan_routes`` makes of it, for people; None where it does not."""
    for chain, rules in _wanted(app, version, routes).items():
        if chain not in table.chains:
            return f"the chain {chain} is gone"
        if not _are(table.rules_of(chain), rules):
            return f"the rules in the chain {chain} were changed"
    problems = (_jump_problem(table, jump) for jump in chains_of(app).jumps(table.family))
    return next((problem for problem in problems if problem is not None), None)


def are_engine_rules_gone(table: Table) -> bool:
    """Return whether the engine's rules were flushed: its chain is there, and nothing jumps to it."""
    return _ENGINE in table.chains and all(rule.target != _ENGINE for rule in table.rules_of("PREROUTING"))


def routed_version(app: str, table: Table) -> RoutedVersion | None:
    """Return the version that the app's rules route clients elsewhere to; None without rules."""
    for rule in _port_rules(table, chains_of(app).incoming):
        if rule.version and rule.container is not None:
            return RoutedVersion(rule.version, rule.container[0])
    return None


def published_ports(app: str, table: Table) -> list[PublishedPort]:
    """Return the ports that the app's rules publish."""
    return [port for rule in _port_rules(table, chains_of(app).incoming) for port in rule.published]


def claims(table: Table) -> list[Claim]:
    """Return the host ports that the chains of all apps route."""
    return [
        Claim(rule.chain, host)
        for rule in table.rules
        if is_incoming(rule.chain)
        for host in _host_ports(rule, table.family)
    ]


def _wanted(app: str, version: str, routes: Sequence[Route]) -> dict[str, list[list[str]]]:
    """Return the rules of each chain of the app, in groups of words."""
    chains = chains_of(app)
    return {
        chains.incoming: [
            *(_own_rule(version, address) for address in dict.fromkeys(route.address for route in routes)),
            *(_direct_rule(chains.incoming, version, run).options for run in runs_of(routes)),
        ],
        chains.local: [
            rule.options
            for run in runs_of([route for route in routes if not _is_only_relayed(route)])
            for rule in _local_rules(chains, version, run)
        ],
        chains.source: [
            _source_rule(version, address, network)
            for address, network in dict.fromkeys((route.address, route.network) for route in routes if route.network)
        ],
    }


def _direct_rule(chain: str, version: str, run: Sequence[Route]) -> PortRule:
    """Return the rule of one route, or of several that follow each other, that sends clients straight to the container."""
    first = run[0]
    to = first.destination if len(run) == 1 else first.address
    return PortRule(chain, first.port.host, version, "DNAT", to, len(run))


def _local_rules(chains: Chains, version: str, run: Sequence[Route]) -> list[PortRule]:
    """Return the rules for clients on this host.

    They go through the engine's proxy: the kernel drops a packet from 127.0.0.1 that would leave the loopback interface for
    the bridge. An engine without a proxy sets ``route_localnet``, which lets it pass (``bridge.py``).
    """
    through_proxy = [(route.port.host, route.proxy.number) for route in run if route.proxy is not None]
    return [PortRule(chains.local, host, version, "REDIRECT", str(number)) for host, number in through_proxy] or [
        _direct_rule(chains.local, version, run)
    ]


def _is_only_relayed(route: Route) -> bool:
    """Return whether clients on this host are relayed: IPv6 has no ``route_localnet``, and without a proxy no way from ::1."""
    return route.proxy is None and route.port.host.family is Family.IPV6


def _own_rule(version: str, address: str) -> list[str]:
    """Return the rule for the app itself as a client of the published port: hanoverd relays it.

    Where the firewall sees bridged packets (bridge-nf-call-iptables), the kernel would send the packet back into the bridge's
    port that it came from, and drop it (net/bridge/br_netfilter_hooks.c, br_forward.c).
    """
    return [f"-s {_only(address)}", _comment(version), "-j RETURN"]


def _source_rule(version: str, address: str, network: str) -> list[str]:
    """Return the rule for clients in the container's own network.

    Such a client would get the answers straight from the container's address, which it did not ask. With MASQUERADE they go
    back through this host, where the kernel restores the address; the app sees the host as the client.
    """
    return [
        f"-s {network}",
        f"-d {_only(address)}",
        "-m conntrack --ctstate DNAT",
        _comment(version),
        "-j MASQUERADE",
    ]


def _only(address: str) -> str:
    """Return a container's address as iptables prints it."""
    return f"{address}/{_BITS[Family.IPV6 if ':' in address else Family.IPV4]}"


def _comment(version: str) -> str:
    # The kernel ignores the comment. People, and the next hanoverd, read the version from it.
    return f'-m comment --comment "{_COMMENT}{version}"'


def _are(rules: Sequence[Rule], options: Sequence[Sequence[str]]) -> bool:
    """Return whether the rules of a chain have exactly these options, in any order within a rule."""
    if [rule.text for rule in rules] == [" ".join(words) for words in options]:
        return True
    # The order in which options are printed depends on the variant of iptables.
    return [sorted(rule.options) for rule in rules] == [
        sorted(Rule(NAT, "", " ".join(words)).options) for words in options
    ]


def _rules_of(table: Table, jump: Jump) -> list[Rule]:
    # A hook may have a rule of the engine for each port of each container: only what can be a jump is parsed.
    return [rule for rule in table.rules_of(jump.hook) if jump.chain in rule.text and rule.target == jump.chain]


def _jump_problem(table: Table, jump: Jump) -> str | None:
    """Return what is wrong with a jump: it must be there once, and where that matters, before other programs' rules."""
    hook, chain = jump.hook, jump.chain
    found = _rules_of(table, jump)
    if not found:
        return f"the jump from {hook} to {chain} is gone"
    if jump.is_first:
        before = itertools.takewhile(lambda rule: rule is not found[0], table.rules_of(hook))
        ahead = [rule.target or "a rule" for rule in before if not rule.target.startswith(PREFIX)]
        if ahead:
            return f"{' and '.join(ahead)} went ahead of {chain} in {hook}"
    if len(found) > 1:
        return f"{hook} jumps to {chain} twice"
    return None if _are(found, [jump.options]) else f"the jump from {hook} to {chain} was changed"


def _port_rules(table: Table, chain: str) -> list[PortRule]:
    rules = (PortRule.parse(rule, table.family) for rule in table.rules_of(chain))
    return [rule for rule in rules if rule is not None]


def _host_ports(rule: Rule, family: Family) -> list[HostPort]:
    """Return the consecutive host ports that a rule matches; none where it matches none, or any others."""
    address, numbers, protocol = (rule.value(name) for name in ("-d", "--dport", "-p"))
    if numbers is None or any(option.is_negated for option in rule.matches):
        return []
    anywhere = ANY_IPV4 if family is Family.IPV4 else ANY_IPV6
    first, _, last = numbers.partition(":")
    try:
        at = ip_address(address.removesuffix(f"/{_BITS[family]}")) if address else anywhere
        known = Protocol(protocol or "tcp")
        end = min(int(last or first), HIGHEST_PORT)
        return [HostPort(at, number, known) for number in range(int(first), end + 1)]
    except ValueError:
        return []


def _numbers(first: HostPort, count: int) -> str:
    return str(first.number) if count == 1 else f"{first.number}:{first.number + count - 1}"
