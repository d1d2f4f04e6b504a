"""Whether the host forwards packets, while an app serves."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from hanoverd.network.forwarding_monitor import ForwardingMonitor
from hanoverd.spec.ports import ANY_IPV4, ContainerPort, HostPort, PublishedPort


def logged(settings: list[bool | None], *addresses: IPv4Address) -> list[str]:
    """The events that are logged while the kernel has these settings, the first one at the start."""
    found: list[LogEvent] = []
    observer = cast("ILogObserver", found.append)
    ports = [PublishedPort(HostPort(address, 8080), ContainerPort(80)) for address in addresses]
    now = iter(settings)
    globalLogPublisher.addObserver(observer)
    try:
        monitor = ForwardingMonitor("web", ports, lambda: next(now))
        for _ in settings[1:]:
            monitor.check()
    finally:
        globalLogPublisher.removeObserver(observer)
    return [str(event["event"]) for event in found if "event" in event]


@pytest.mark.parametrize(
    ("settings", "events"),
    [
        ([True, True], []),
        ([True, False, False, True, False], ["clients_blocked", "clients_unblocked", "clients_blocked"]),
        ([True, None, True], []),
        ([True, False, None, False, True], ["clients_blocked", "clients_unblocked"]),
        ([None, True, False], ["clients_blocked"]),
        # The start has reported it.
        ([False, False, True], ["clients_unblocked"]),
    ],
)
def test_a_change_is_logged_once(settings: list[bool | None], events: list[str]) -> None:
    assert logged(settings, ANY_IPV4) == events


@pytest.mark.parametrize("addresses", [(), (IPv4Address("127.0.0.1"),)], ids=["no port", "loopback"])
def test_it_matters_where_packets_are_forwarded(addresses: tuple[IPv4Address, ...]) -> None:
    assert logged([True, False], *addresses) == []
