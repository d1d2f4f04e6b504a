"""The firewall rules of an app as text for ``iptables-restore``, planned from what ``iptables-save`` shows.

Each app has two chains of its own in the table ``nat``: one that PREROUTING jumps to, for clients elsewhere, and
one that OUTPUT jumps to, for clients on this host.  A flip refills both in one commit, so that all ports of the
app move to the next version at the same instant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PublishedPort

#: Every chain of hanoverd begins with this, so that other tools can leave them alone.
PREFIX = "HANOVERD-"

#: The kernel's limit (XT_EXTENSION_MAXNAMELEN, less the final NUL).
LONGEST_CHAIN_NAME = 28

#: A longer name of an app is cut in its chains' names: to so many characters, a hyphen, and so many digits of its digest.
_LONGEST_WHOLE = LONGEST_CHAIN_NAME - len(PREFIX) - len("-OUT")
_DIGEST = 6
_KEPT_PART = _LONGEST_WHOLE - _DIGEST - 1


@dataclass(frozen=True)
class Chains:
    """The names of an app's two chains."""

    incoming: str
    local: str


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
        """For people: ``0.0.0.0:8080 -> 172.17.0.2:80``."""
        return f"{self.port.host} -> {self.destination}"

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
        }


@dataclass(frozen=True)
class Claim:
    """A host port that a chain of hanoverd routes."""

    chain: str
    host: HostPort


def chains_of(app: str) -> Chains:
    """The chains of an app: readable, and distinct for distinct apps even where the name had to be cut."""
    if len(app) > _LONGEST_WHOLE:
        digest = hashlib.sha256(app.encode()).hexdigest()[:_DIGEST]
        app = f"{app[:_KEPT_PART]}-{digest}"
    elif re.fullmatch(rf".{{{_KEPT_PART}}}-[0-9a-f]{{{_DIGEST}}}", app):
        # It looks like a name that was cut, and may be one's; no app's name has a "+".
        app = f"{app[:_KEPT_PART]}+{app[_KEPT_PART + 1 :]}"
    return Chains(f"{PREFIX}{app}-IN", f"{PREFIX}{app}-OUT")


def filled(app: str, version: str, routes: Sequence[Route], saved: str | None = None) -> str:
    """The input of ``iptables-restore --noflush`` after which the app's chains hold ``routes`` and nothing else.

    ``saved`` is the table as ``iptables-save -t nat`` shows it now: wherever the jumps are not right, they are made
    so in the same commit.  Without it, they are left as they are.
    """
    chains = chains_of(app)
    lines = _emptied(chains)
    for route in routes:
        lines.append(_incoming_rule(chains.incoming, version, route))
        lines.append(_local_rule(chains.local, version, route))
    if saved is not None:
        for hook, chain in _wrong_jumps(chains, saved):
            lines += _deleted_jumps(saved, hook, chain)
            # Only what is addressed to this host: what it merely forwards is not for us.
            lines.append(f"-I {hook} 1 -m addrtype --dst-type LOCAL -j {chain}")
    return _commit(lines)


def what_is_wrong(app: str, version: str, routes: Sequence[Route], saved: str) -> str | None:
    """How ``saved`` differs from what ``filled`` makes of it, in words; None where it does not."""
    chains = chains_of(app)
    wanted = [_essence(rule(chain, version, route)) for route in routes for chain, rule in _both(chains)]
    for chain in (chains.incoming, chains.local):
        if f":{chain} " not in saved:
            return f"the chain {chain} is gone"
        found = [_essence(line) for line in saved.splitlines() if line.startswith(f"-A {chain} ")]
        if found != [rule for rule in wanted if rule[0] == chain]:
            return f"the rules in the chain {chain} were changed"
    for hook, chain in _wrong_jumps(chains, saved):
        ahead = [target for _, target in _jumps(saved, hook)]
        if chain not in ahead:
            return f"the jump from {hook} to {chain} is gone"
        others = [target or "a rule" for target in ahead[: ahead.index(chain)] if not target.startswith(PREFIX)]
        return f"{' and '.join(others)} went ahead of {chain} in {hook}" if others else f"{hook} jumps to {chain} twice"
    return None


def leads_to(app: str, saved: str) -> tuple[str, str] | None:
    """The version that the app's rules in ``saved`` lead clients elsewhere to, and its address; None without rules."""
    incoming = chains_of(app).incoming
    for line in saved.splitlines():
        found = re.match(rf'-A {re.escape(incoming)} .*--comment "hanoverd: (\S+)" .*--to-destination (\S+):\d+', line)
        if found:
            return found[1], found[2]
    return None


def published_ports(app: str, saved: str) -> list[PublishedPort]:
    """The ports that the app's rules in ``saved`` publish."""
    found = []
    chain = re.escape(chains_of(app).incoming)
    for line in saved.splitlines():
        rule = re.match(rf"-A {chain} (?:.*-d (\S+?)(?:/32)? )?.*--dport (\d+) .*--to-destination \S+:(\d+)", line)
        if rule:
            found.append(PublishedPort(_host_port(rule[1], rule[2]), ContainerPort(int(rule[3]))))
    return found


def removed(app: str, saved: str) -> str | None:
    """The input of ``iptables-restore --noflush`` after which nothing of the app is left, None if nothing is there."""
    chains = chains_of(app)
    present = [chain for chain in (chains.incoming, chains.local) if f":{chain} " in saved]
    if not present:
        return None
    lines = [f":{chain} - [0:0]" for chain in present]
    for hook, chain in _hooks(chains):
        lines += _deleted_jumps(saved, hook, chain)
    lines += [f"-X {chain}" for chain in present]
    return _commit(lines)


def nothing() -> str:
    """The input of ``iptables-restore --noflush`` that changes nothing: it shows whether changes are permitted."""
    return _commit([])


def claims(saved: str) -> list[Claim]:
    """The host ports that the chains of all apps claim in ``saved``."""
    found = []
    for line in saved.splitlines():
        rule = re.match(rf"-A ({PREFIX}\S+-IN) (?:.*-d (\S+?)(?:/32)? )?.*--dport (\d+) ", line)
        if rule:
            found.append(Claim(rule[1], _host_port(rule[2], rule[3])))
    return found


def _host_port(address: str | None, number: str) -> HostPort:
    return HostPort(IPv4Address(address) if address else ANY_IPV4, int(number))


def _incoming_rule(chain: str, version: str, route: Route) -> str:
    # Straight to the container: the kernel rewrites the address of a new connection once, remembers it
    # (conntrack) for all its packets, and the app sees the client's own address.
    target = f"-j DNAT --to-destination {route.destination}"
    return " ".join([*_matching(chain, version, route), target])


def _local_rule(chain: str, version: str, route: Route) -> str:
    if route.proxy is None:
        return _incoming_rule(chain, version, route)
    # Through the engine's proxy: a packet from 127.0.0.1 may not leave the loopback interface (route_localnet), so
    # it cannot reach the bridge.
    target = f"-j REDIRECT --to-ports {route.proxy.number}"
    return " ".join([*_matching(chain, version, route), target])


def _both(chains: Chains) -> Sequence[tuple[str, Callable[[str, str, Route], str]]]:
    return (chains.incoming, _incoming_rule), (chains.local, _local_rule)


def _essence(rule: str) -> tuple[str, ...]:
    """What a rule does, however it is written: its chain, address, port, comment and target."""
    parts = (
        r"-A (\S+)",
        r" -d (\S+?)(?:/32)? ",
        r"--dport (\d+)",
        r'--comment "?hanoverd: ([^"\s]+)',
        r"--to-\S+ (\S+)",
    )
    found = [re.search(part, rule) for part in parts]
    return tuple(part[1] if part else "" for part in found)


def _matching(chain: str, version: str, route: Route) -> list[str]:
    return [
        f"-A {chain}",
        *([] if route.port.host.is_at_any_address else [f"-d {route.port.host.address}/32"]),
        f"-p tcp -m tcp --dport {route.port.host.number}",
        f'-m comment --comment "hanoverd: {version}"',
    ]


def _emptied(chains: Chains) -> list[str]:
    # Declaring a chain makes it, or empties the one that is there, within the commit.
    return [f":{chains.incoming} - [0:0]", f":{chains.local} - [0:0]"]


def _jumps(saved: str, hook: str) -> Iterable[tuple[str, str]]:
    """The rules of a built-in chain in their order, each with the chain that it jumps to."""
    for line in saved.splitlines():
        if line.startswith(f"-A {hook} "):
            target = re.search(r" -[jg] (\S+)", line)
            yield line, target[1] if target else ""


def _hooks(chains: Chains) -> Sequence[tuple[str, str]]:
    """The built-in chains with the chain of ours that each jumps to."""
    return ("PREROUTING", chains.incoming), ("OUTPUT", chains.local)


def _wrong_jumps(chains: Chains, saved: str) -> list[tuple[str, str]]:
    return [(hook, chain) for hook, chain in _hooks(chains) if not _jump_is_right(saved, hook, chain)]


def _jump_is_right(saved: str, hook: str, chain: str) -> bool:
    targets = [target for _, target in _jumps(saved, hook)]
    if targets.count(chain) != 1:
        return False
    return all(target.startswith(PREFIX) for target in targets[: targets.index(chain)])


def _deleted_jumps(saved: str, hook: str, chain: str) -> list[str]:
    return [line.replace("-A", "-D", 1) for line, target in _jumps(saved, hook) if target == chain]


def _commit(lines: Iterable[str]) -> str:
    return "\n".join(["*nat", *lines, "COMMIT", ""])
