"""Remembers which host ports were picked for an app, so that it has the same ones after a stop of hanoverd, and a reboot."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from twisted.logger import Logger

from hanoverd.runtime.private_files import make_folder, read_file, replace_file
from hanoverd.spec.ports import ContainerPort, HostPort, PublishedPort

log = Logger()

#: How long the file may be, in bytes: one line for each port.
_MOST_BYTES = 4 * 1024 * 1024


class PortMemory:
    """The ports of an app that were picked, in a file at ``path``, with lines like ``0.0.0.0 32768 80/tcp``.

    A file that cannot be read or written is logged, and stops nothing: other ports are picked then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[PublishedPort]:
        """Return the ports that were saved last; none if there is no file."""
        try:
            text = read_file(self._path, _MOST_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return []
        except OSError as error:
            self._log("read", str(error.strerror))
            return []
        try:
            return [_parse(line) for line in text.splitlines()]
        except ValueError:
            self._log("read", "it does not hold ports")
            return []

    def save(self, picked: Sequence[PublishedPort]) -> None:
        """Save the ports of which the user left the choice."""
        lines = [f"{port.host.address} {port.host.number} {port.container}\n" for port in picked]
        try:
            if lines:
                make_folder(self._path.parent, 0o755)
                replace_file(self._path, "".join(lines).encode())
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._log("save", str(error.strerror))

    def _log(self, what: str, reason: str) -> None:
        log.warn(
            "ports: cannot {what} {path}: {reason}; after a restart of hanoverd, the host ports that it picks may be others",
            event="ports_not_remembered",
            what=what,
            path=str(self._path),
            reason=reason,
        )


def _parse(line: str) -> PublishedPort:
    """Read a line; ValueError if it is none."""
    address, number_text, container_text = line.split(" ")
    container, number = ContainerPort.parse(container_text), ContainerPort.parse(number_text).number
    if not number:
        raise ValueError("no port has the number 0")
    return PublishedPort(HostPort(ip_address(address), number, container.protocol), container)
