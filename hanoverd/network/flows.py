"""What the kernel tracks of UDP: flows, as ``conntrack -L`` prints them, and which must be deleted. Pure.

The kernel decides at the first packet of a flow where the flow goes, and then remembers it for as long as packets come. A
client that keeps its source port, such as a QUIC client, would stay with an old version, or with none, for ever.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import NamedTuple

from hanoverd.spec.ports import HostPort, Protocol

#: How long a list of connections or flows may be, in bytes: about 200 each, and a host can track millions.
LONGEST_LISTING = 1024 * 1024 * 1024

#: ``udp 17 29 src=CLIENT dst=HOST sport=.. dport=.. [UNREPLIED] src=CONTAINER dst=CLIENT sport=.. dport=.. mark=0 use=1``;
#: with nf_conntrack_acct, packets and bytes are counted behind each direction.
_FLOW = re.compile(
    r"^udp +17 \d+ src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) (?:packets=\d+ bytes=\d+ )?"
    r"(\[UNREPLIED\] )?src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+)",
    re.MULTILINE,
)

#: In /proc/net/fib_trie, the address of an entry stands in the line before those that say what it is.
_ADDRESS, _LOCAL = re.compile(r"\|-- (\S+)$"), re.compile(r"/(\d+) host LOCAL$")


#: Addresses of either family.
IPNetwork = IPv4Network | IPv6Network


class Endpoint(NamedTuple):
    """An address and a port."""

    address: str
    port: int


@dataclass(frozen=True)
class Flow:
    """A flow of datagrams: from ``source`` to ``target`` as it was sent, and from ``answers`` to ``back`` as it is answered.

    The two differ where the kernel translates addresses.
    """

    source: Endpoint
    target: Endpoint
    answers: Endpoint
    back: Endpoint
    is_answered: bool


def parse_flows(listing: str) -> Iterator[Flow]:
    """Yield the UDP flows in the output of ``conntrack -L``."""
    for found in _FLOW.finditer(listing):
        src, dst, sport, dport, unreplied, answers, back, answers_port, back_port = found.groups()
        yield Flow(
            Endpoint(src, int(sport)),
            Endpoint(dst, int(dport)),
            Endpoint(answers, int(answers_port)),
            Endpoint(back, int(back_port)),
            unreplied is None,
        )


def count_answered(listing: str) -> Mapping[Endpoint, int]:
    """Return how many UDP flows in the output of ``conntrack -L`` have been answered, by who answers them."""
    return Counter(flow.answers for flow in parse_flows(listing) if flow.is_answered)


def local_networks(fib_trie: str, if_inet6: str) -> list[IPNetwork]:
    """Return the addresses of this host: 127.0.0.0/8, and a network of one for each other.

    ``fib_trie`` and ``if_inet6`` are the contents of these files in /proc/net; the second is empty without IPv6.
    """
    found: dict[IPNetwork, None] = {}
    address = ""
    for line in fib_trie.splitlines():
        if entry := _ADDRESS.search(line):
            address = entry[1]
        elif kind := _LOCAL.search(line):
            found[IPv4Network(f"{address}/{kind[1]}", strict=False)] = None
    found |= dict.fromkeys(IPv6Network(int(line.split()[0], 16)) for line in if_inet6.splitlines())
    return list(found)


def stale_filters(
    flows: Iterable[Flow],
    ports: Collection[HostPort],
    local: Sequence[IPNetwork],
    kept: Collection[Endpoint],
    former: Collection[str] = (),
) -> list[tuple[str, ...]]:
    """Return the filters for ``conntrack -D -p udp`` that delete each flow to one of ``ports`` that is answered by none of ``kept``.

    ``local`` are the host's addresses: a flow to the same port of another host is not ours.  ``former`` are addresses of
    containers that no longer serve.  A late answer of one, sent after its flow was deleted, starts a flow of its own: with
    the host port as its source, it would catch what the client sends next.
    """
    found: dict[tuple[str, ...], None] = {}
    for flow in flows:
        if flow.answers not in kept and _is_to(flow.target, ports, local):
            found[
                "--orig-dst",
                flow.target.address,
                "--orig-port-dst",
                str(flow.target.port),
                "--reply-src",
                flow.answers.address,
                "--reply-port-src",
                str(flow.answers.port),
            ] = None
        elif flow.source.address in former and _is_to(flow.back, ports, local):
            found["--orig-src", flow.source.address, "--reply-port-dst", str(flow.back.port)] = None
    return list(found)


def _is_to(target: Endpoint, ports: Collection[HostPort], local: Sequence[IPNetwork]) -> bool:
    address = ip_address(target.address)
    wanted = HostPort(address, target.port, Protocol.UDP)
    return any(port.conflicts_with(wanted) for port in ports) and any(address in network for network in local)
