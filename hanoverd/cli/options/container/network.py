"""Options of a container's network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, plain, refused, repeated
from hanoverd.spec.ports import PortRequest, check_conflicts, check_supported, parse_publish
from hanoverd.spec.run.expose import parse_expose
from hanoverd.spec.run.hosts import parse_address, parse_extra_host, parse_search_domain
from hanoverd.spec.run.network import parse_link, parse_mac_address, parse_network


def _join_published(published: Sequence[Sequence[PortRequest]]) -> tuple[PortRequest, ...]:
    flat = tuple(one for several in published for one in several)
    check_conflicts(flat)
    return flat


_FIXED = "Two versions that run side by side cannot share an address: it needs ``--disable-overlap``."

NETWORK = (
    Option(
        name="add-host",
        kind=Kind.REPEATED,
        metavar="HOST:IP",
        help="Add a custom host-to-IP mapping",
        text="``HOST=IP`` is the same. The IP ``host-gateway`` stands for the host.",
        value=repeated(parse_extra_host),
        request="HostConfig.ExtraHosts",
    ),
    Option(
        name="dns",
        kind=Kind.REPEATED,
        metavar="IP",
        help="Set custom DNS servers",
        value=repeated(parse_address),
        request="HostConfig.Dns",
    ),
    Option(
        name="dns-option",
        kind=Kind.REPEATED,
        metavar="OPTION",
        help="Set DNS options",
        value=repeated(str),
        request="HostConfig.DnsOptions",
        synonyms=("dns-opt",),
    ),
    Option(
        name="dns-search",
        kind=Kind.REPEATED,
        metavar="DOMAIN",
        help="Set custom DNS search domains",
        value=repeated(parse_search_domain),
        request="HostConfig.DnsSearch",
    ),
    Option(name="domainname", metavar="NAME", help="Container NIS domain name", request="Domainname"),
    Option(
        name="expose",
        kind=Kind.REPEATED,
        metavar="PORT[/PROTOCOL]",
        help="Expose a port or a range of ports, without publishing it",
        value=plain(parse_expose, is_late=True),
    ),
    Option(
        name="hostname",
        letter="h",
        metavar="NAME",
        help="Container host name (default: the name of the version, NAME-N)",
        text="All versions have it. Alone on the command line, ``-h`` is ``--help``.",
        request="Hostname",
    ),
    Option(
        name="ip",
        metavar="IP",
        help="IPv4 address",
        text=_FIXED,
    ),
    Option(
        name="ip6",
        metavar="IP",
        help="IPv6 address",
        text=_FIXED,
    ),
    Option(
        name="link",
        kind=Kind.REPEATED,
        metavar="CONTAINER[:ALIAS]",
        help="Add a link to another container",
        text="Not to a version of the same app: it is removed by the next handover.",
        value=repeated(parse_link),
        request="HostConfig.Links",
    ),
    Option(
        name="link-local-ip",
        kind=Kind.REPEATED,
        metavar="IP",
        help="Container IPv4 or IPv6 link-local address",
        text=_FIXED,
        value=repeated(parse_address),
    ),
    Option(
        name="mac-address",
        metavar="MAC",
        help="Container MAC address",
        text=_FIXED,
        value=plain(parse_mac_address, is_late=True),
    ),
    Option(
        name="network",
        kind=Kind.REPEATED,
        metavar="NETWORK",
        help="Connect the container to a network",
        text="""\
``NETWORK``, or ``name=NETWORK,alias=NAME,driver-opt=KEY=VALUE,gw-priority=N``. Traffic goes to the first network.
Several networks need Docker 25 or newer. ``host``, ``none`` and ``container:NAME`` are not supported yet.""",
        value=plain(parse_network),
        synonyms=("net",),
    ),
    Option(
        name="network-alias",
        kind=Kind.REPEATED,
        metavar="NAME",
        help="Add a network-scoped alias for the container",
        text="During a handover the name stands for both versions, also for the one that is not ready.",
        synonyms=("net-alias",),
        value=repeated(str),
    ),
    Option(
        name="publish",
        letter="p",
        kind=Kind.REPEATED,
        metavar="[HOSTIP:][HOSTPORT:]PORT[/tcp]",
        help="Publish a container's port on the host",
        text="""\
``8080:80``, ``127.0.0.1:8080:80``, ``8080-8082:80-82`` (three ports), ``8080-8090:80`` (one free port of these), ``80``
(any free port), ``published=8080,target=80``. hanoverd holds the host port while it runs. A port that hanoverd picks
stays the same for all versions. New connections go to the new version when it is ready. The image does not have to
EXPOSE the port. Only TCP over IPv4 is supported so far.""",
        value=replace(plain(parse_publish, is_late=True, join=_join_published), engine=check_supported),
        place="ports",
    ),
    Option(
        name="publish-all",
        letter="P",
        kind=Kind.BOOLEAN,
        help="Not supported: name the ports with --publish",
        value=refused(
            BOOLEAN,
            "host ports are chosen at the start, before the image and its ports are known: name the ports, as in "
            "--publish 80, which publishes port 80 on a free host port",
        ),
    ),
)
