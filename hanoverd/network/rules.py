"""The firewall rules of an app: what they are, how they differ from what the host has, and the commit that repairs it. Pure.

Each app has two chains of its own in the table ``nat``. For clients elsewhere, PREROUTING jumps to the first, which sends
connections straight to the container. For clients on this host, OUTPUT jumps to the second, which sends them through the
engine's proxy where there is one. A flip fills both in one commit, so that all ports of the app move to the next version
at the same instant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import NamedTuple

from hanoverd.network.chains import PREFIX, Chains, chains_of, is_incoming
from hanoverd.network.iptables import NAT, Rule, Table, append, commit, declare, delete, delete_chain, insert_first
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, Protocol, PublishedPort
from hanoverd.text.decimal import parse_decimal

#: The comment of a rule is this and the version that it routes to.
_COMMENT = "hanoverd: "

#: The option of each target that holds the new destination.
_TO = {"DNAT": "--to-destination", "REDIRECT": "--to-ports"}


@dataclass(frozen=True)
class Route:
    """A published port, and the container that its connections go to.

    The container is reached at ``address`` through the bridge, and at ``proxy`` through the engine's proxy; None where
    the engine has no proxy.
    """

    port: PublishedPort
    address: str
    proxy: HostPort | None

    def __str__(self) -> str:
        """For people: ``0.0.0.0:8080 -> 172.17.0.2:80``, and ``0.0.0.0:53/udp -> 172.17.0.2:53``."""
        protocol = self.port.host.protocol
        return f"{self.port.host}{'' if protocol is Protocol.TCP else f'/{protocol}'} -> {self.destination}"

    @property
    def destination(self) -> str:
        """Where the container answers: ``172.17.0.2:80``."""
        return f"{self.address}:{self.port.container.number}"

    def json(self) -> dict[str, object]:
        """For programs."""
        return {
            "host_ip": str(self.port.host.address),
            "host_port": self.port.host.number,
            "container_ip": self.address,
            "container_port": self.port.container.number,
            "protocol": str(self.port.host.protocol),
        }


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

    ``target`` is DNAT, and ``to`` the container's address and port; or REDIRECT, and the proxy's port.
    """

    chain: str
    host: HostPort
    version: str
    target: str
    to: str

    @property
    def options(self) -> list[str]:
        """The rule as iptables takes it, in groups of words."""
        host = self.host
        return [
            # Published at one address: connections to the host's other addresses do not match.
            *([] if host.is_at_any_address else [f"-d {host.address}/32"]),
            # A port belongs to a protocol: -p selects it, and the match of that name (-m) reads the port from its header.
            f"-p {host.protocol} -m {host.protocol} --dport {host.number}",
            # The kernel ignores the comment. People, and the next hanoverd, read the version from it.
            f'-m comment --comment "{_COMMENT}{self.version}"',
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
    def parse(cls, rule: Rule) -> PortRule | None:
        """Read a rule of the table; None where it is none that hanoverd writes."""
        host, to = _host_port(rule), rule.value(*_TO.values())
        if host is None or to is None:
            return None
        version = rule.comment.removeprefix(_COMMENT) if rule.comment.startswith(_COMMENT) else ""
        return cls(rule.chain, host, version, rule.target, to)

    @property
    def container(self) -> tuple[str, ContainerPort] | None:
        """The container's address, and its port; None where it goes to the engine's proxy."""
        address, _, text = self.to.rpartition(":")
        number = parse_decimal(text)
        return (address, ContainerPort(number, self.host.protocol)) if address and number is not None else None


def plan_routes(app: str, version: str, routes: Sequence[Route], table: Table | None = None) -> str:
    """Return the commit after which the app's chains hold ``routes`` and nothing else.

    ``table`` is the table as it is now: wrong jumps are repaired in the same commit. Without it, they are left
    as they are.
    """
    chains = chains_of(app)
    changes = [declare(chains.incoming), declare(chains.local)]
    for route in routes:
        changes += [_incoming_rule(chains, version, route).change, _local_rule(chains, version, route).change]
    if table is not None:
        for hook, chain in chains.hooks:
            if _jump_problem(table, hook, chain) is not None:
                changes += [delete(rule) for rule in _jumps(table, hook, chain)]
                changes.append(insert_first(hook, _jump_options(chain)))
    return commit(changes)


def plan_removal(app: str, table: Table) -> str | None:
    """Return the commit after which nothing of the app is left, None if nothing is there."""
    chains = chains_of(app)
    present = [(hook, chain) for hook, chain in chains.hooks if chain in table.chains]
    if not present:
        return None
    # A chain is deleted last: the kernel refuses that while it has rules, or any jumps to it.
    changes = [declare(chain) for _, chain in present]
    changes += [delete(rule) for hook, chain in present for rule in _jumps(table, hook, chain)]
    return commit([*changes, *(delete_chain(chain) for _, chain in present)])


def plan_restoring(app: str, table: Table) -> str:
    """Return the commit after which the app's chains hold the rules that they have in ``table``, and nothing else."""
    chains = chains_of(app)
    changes = [declare(chains.incoming), declare(chains.local)]
    for chain in (chains.incoming, chains.local):
        changes += [rule.change for rule in _port_rules(table, chain)]
    return commit(changes)


def plan_nothing() -> str:
    """Return a commit that changes nothing: it shows whether changes are permitted."""
    return commit([])


def find_problem(app: str, version: str, routes: Sequence[Route], table: Table) -> str | None:
    """Return how ``table`` differs from what ``plan_routes`` makes of it, for people; None where it does not."""
    chains = chains_of(app)
    wanted = {
        chains.incoming: [_incoming_rule(chains, version, route) for route in routes],
        chains.local: [_local_rule(chains, version, route) for route in routes],
    }
    for chain, rules in wanted.items():
        if chain not in table.chains:
            return f"the chain {chain} is gone"
        if not _are(table.rules_of(chain), [rule.options for rule in rules]):
            return f"the rules in the chain {chain} were changed"
    problems = (_jump_problem(table, hook, chain) for hook, chain in chains.hooks)
    return next((problem for problem in problems if problem is not None), None)


def routed_version(app: str, table: Table) -> RoutedVersion | None:
    """Return the version that the app's rules route clients elsewhere to; None without rules."""
    for rule in _port_rules(table, chains_of(app).incoming):
        if rule.version and rule.container is not None:
            return RoutedVersion(rule.version, rule.container[0])
    return None


def published_ports(app: str, table: Table) -> list[PublishedPort]:
    """Return the ports that the app's rules publish."""
    rules = _port_rules(table, chains_of(app).incoming)
    return [PublishedPort(rule.host, rule.container[1]) for rule in rules if rule.container is not None]


def claims(table: Table) -> list[Claim]:
    """Return the host ports that the chains of all apps route."""
    hosts = ((rule.chain, _host_port(rule)) for rule in table.rules if is_incoming(rule.chain))
    return [Claim(chain, host) for chain, host in hosts if host is not None]


def _incoming_rule(chains: Chains, version: str, route: Route) -> PortRule:
    """Return the rule for clients elsewhere: straight to the container."""
    return PortRule(chains.incoming, route.port.host, version, "DNAT", route.destination)


def _local_rule(chains: Chains, version: str, route: Route) -> PortRule:
    """Return the rule for clients on this host.

    It goes through the engine's proxy: the kernel drops a packet from 127.0.0.1 that would leave the loopback interface for
    the bridge. An engine without a proxy sets ``route_localnet``, which lets it pass (``bridge.py``).
    """
    if route.proxy is None:
        return PortRule(chains.local, route.port.host, version, "DNAT", route.destination)
    return PortRule(chains.local, route.port.host, version, "REDIRECT", str(route.proxy.number))


def _are(rules: Sequence[Rule], options: Sequence[Sequence[str]]) -> bool:
    """Return whether the rules of a chain have exactly these options, in any order within a rule."""
    # The order in which options are printed depends on the variant of iptables.
    return [sorted(rule.options) for rule in rules] == [
        sorted(Rule(NAT, "", " ".join(words)).options) for words in options
    ]


def _jump_options(chain: str) -> list[str]:
    return [
        # Only packets to an address of this host, and not the packets that it forwards.
        "-m addrtype --dst-type LOCAL",
        f"-j {chain}",
    ]


def _jumps(table: Table, hook: str, chain: str) -> list[Rule]:
    return [rule for rule in table.rules_of(hook) if rule.target == chain]


def _jump_problem(table: Table, hook: str, chain: str) -> str | None:
    """Return what is wrong with the jump from ``hook`` to ``chain``: it must be there once, before other programs' rules."""
    targets = [rule.target for rule in table.rules_of(hook)]
    if chain not in targets:
        return f"the jump from {hook} to {chain} is gone"
    ahead = [target or "a rule" for target in targets[: targets.index(chain)] if not target.startswith(PREFIX)]
    if ahead:
        return f"{' and '.join(ahead)} went ahead of {chain} in {hook}"
    if targets.count(chain) > 1:
        return f"{hook} jumps to {chain} twice"
    is_right = _are(_jumps(table, hook, chain), [_jump_options(chain)])
    return None if is_right else f"the jump from {hook} to {chain} was changed"


def _port_rules(table: Table, chain: str) -> list[PortRule]:
    rules = (PortRule.parse(rule) for rule in table.rules_of(chain))
    return [rule for rule in rules if rule is not None]


def _host_port(rule: Rule) -> HostPort | None:
    """Return the host port that a rule matches; None where it matches none or several."""
    address, number, protocol = (rule.value(name) for name in ("-d", "--dport", "-p"))
    if number is None or any(option.is_negated for option in rule.matches):
        return None
    try:
        return HostPort(
            IPv4Address(address.removesuffix("/32")) if address else ANY_IPV4, int(number), Protocol(protocol or "tcp")
        )
    except ValueError:
        return None
