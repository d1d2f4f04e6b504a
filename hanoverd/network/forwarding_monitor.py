"""Reports when this host stops forwarding packets while an app serves, and when it forwards them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from hanoverd.network.bridge import forwards_packets
from hanoverd.spec.ports import PublishedPort

log = Logger()


class ForwardingMonitor:
    """Looks at the kernel's setting, which other programs change: a reload of all of them by sysctl(8), for example.

    What is so at first is reported by the start (``preflight``).
    """

    def __init__(
        self, app: str, ports: Sequence[PublishedPort], forwards: Callable[[], bool | None] = forwards_packets
    ) -> None:
        self._app = app
        self._forwards = forwards
        self._is_needed = not all(port.host.address.is_loopback for port in ports)
        self._was_on = forwards() is not False

    def check(self) -> None:
        """Log a change since the last call.  Where the setting cannot be read, it is taken as unchanged."""
        is_on = self._forwards()
        if not self._is_needed or is_on is None or is_on is self._was_on:
            return
        self._was_on = is_on
        if is_on:
            log.info(
                "{app}: this host forwards packets again: clients on other machines can connect",
                event="clients_unblocked",
                app=self._app,
            )
            return
        log.warn(
            "{app}: clients on other machines and in containers cannot connect: {reason}",
            event="clients_blocked",
            app=self._app,
            reason=(
                "this host forwards no packets any more (net.ipv4.ip_forward is 0), because another program has switched that "
                "off. Run `sysctl -w net.ipv4.ip_forward=1`, and write net.ipv4.ip_forward=1 to a file in /etc/sysctl.d, so "
                "that it stays on"
            ),
        )
