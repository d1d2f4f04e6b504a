"""Tells systemd how the service is, by the protocol of sd_notify(3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall


class Systemd:
    """The service manager that ``environ`` names; where it names none, nothing is told to nobody."""

    def __init__(self, clock: IReactorTime, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the NUL at the beginning of an abstract name (sd_notify(3)).
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._alive = LoopingCall(self._tell, "WATCHDOG=1")
        self._alive.clock = clock
        microseconds = environ.get("WATCHDOG_USEC", "")
        self._watchdog = int(microseconds) / 1e6 if microseconds.isdigit() else 0.0

    def ready(self) -> None:
        """The service runs; from now on it tells that it is alive, twice as often as it has to."""
        self._tell("READY=1")
        if self._watchdog and self._address:
            # Its failures are none of ours: a manager that is away will start us anew.
            self._alive.start(self._watchdog / 2).addErrback(lambda _: None)

    def stopping(self) -> None:
        """The service ends, which may take a while; it goes on telling that it is alive."""
        self._tell("STOPPING=1")

    def ended(self) -> None:
        """There is nothing more to tell; idempotent."""
        if self._alive.running:
            self._alive.stop()

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.settimeout(0)
            try:
                manager.sendto(state.encode(), self._address)
            except OSError:
                pass  # It does not listen, or not now: there is nobody to complain to.


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
