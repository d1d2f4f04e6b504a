"""Notifies systemd of the state of the service, by the protocol of sd_notify(3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class Systemd:
    """The service manager at the socket that ``environ`` names; does nothing if there is none."""

    def __init__(self, clock: IReactorTime, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL byte at the start of an abstract name (sd_notify(3)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog_messages = LoopingCall(self._notify, "WATCHDOG=1")
        self._watchdog_messages.clock = clock
        microseconds = environ.get("WATCHDOG_USEC", "")
        self._watchdog = int(microseconds) / 1e6 if microseconds.isdigit() else 0.0

    def ready(self) -> None:
        """Notify that the service runs; from now on, send watchdog messages twice as often as necessary."""
        self._notify("READY=1")
        if self._watchdog and self._address:
            # Ignore failures: without watchdog messages, systemd restarts the service.
            self._watchdog_messages.start(self._watchdog / 2).addErrback(lambda _: None)

    def stopping(self) -> None:
        """Notify that the service stops; watchdog messages continue until it has ended."""
        self._notify("STOPPING=1")

    def ended(self) -> None:
        """Send no more messages. Idempotent."""
        if self._watchdog_messages.running:
            self._watchdog_messages.stop()

    def _notify(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(0)
            try:
                manager.sendto(state.encode(), self._address)
            except OSError:
                pass  # systemd does not listen: there is nothing that the service can do.


def unit_name(environ: Mapping[str, str]) -> str | None:
    """Return the systemd unit that runs this process, None if it is no service that notifies systemd."""
    if not environ.get("NOTIFY_SOCKET"):
        return None
    try:
        groups = Path("/proc/self/cgroup").read_text().split()
    except OSError:
        return None
    units = [group.rpartition("/")[2] for group in groups]
    return next((unit for unit in units if unit.endswith(".service")), None)
