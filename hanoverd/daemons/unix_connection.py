"""HTTP on a Unix socket that a trusted user serves; what is read has limits of size and time."""

from __future__ import annotations

import http.client
import socket
import stat
import struct
import time
from collections.abc import Container
from pathlib import Path
from typing import Any

from hanoverd.runtime.private_files import check_folder

#: struct ucred: pid, uid, gid (unix(7)).
_CREDENTIALS = "3i"

#: How long to wait before the next attempt to connect to a socket whose queue is full, in seconds.
_RETRY_INTERVAL = 0.05


class Untrusted(Exception):
    """The socket, its folder, or the process that listens on it belongs to a user who is not trusted."""


class AnswerTooLarge(Exception):
    """The answer has more bytes than its limit."""


def check_socket(path: Path, trusted: Container[int]) -> None:
    """Check a socket before it is used.

    Fails with ``Untrusted`` if a user who is not ``trusted`` has created it or could replace it, and with ``FileNotFoundError``.
    """
    status = path.lstat()
    if not stat.S_ISSOCK(status.st_mode):
        raise Untrusted(f"{path} is not a socket")
    if status.st_uid not in trusted:
        raise Untrusted(f"{path} belongs to uid {status.st_uid}")
    problem = folder_problem(path.parent, trusted)
    if problem is not None:
        raise Untrusted(problem)


def folder_problem(folder: Path, trusted: Container[int]) -> str | None:
    """Return why a folder is not used: a user who is not ``trusted`` could change it.  None if it can be used."""
    try:
        check_folder(folder, trusted)
    except OSError as error:
        return str(error.strerror)
    return None


def check_peer(connected: socket.socket, path: Path, trusted: Container[int]) -> None:
    """Fail with ``Untrusted`` if the process that listens on the other side of a connection is not of a trusted user."""
    packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, packed)
    if uid not in trusted:
        raise Untrusted(f"a process of uid {uid} listens on {path}")


def open_connection(path: Path, trusted: Container[int]) -> socket.socket:
    """Return a socket that is connected and does not block, after the checks of it, its folder and the process that listens.

    Fails with ``Untrusted``, and with ``OSError``: at once with ``BlockingIOError`` if too many others wait to be accepted, as
    where a daemon hangs.
    """
    check_socket(path, trusted)
    opened = socket.socket(socket.AF_UNIX)
    try:
        opened.setblocking(False)  # noqa: FBT003  # Python's
        opened.connect(str(path))
        check_peer(opened, path, trusted)
    except BaseException:
        opened.close()
        raise
    return opened


class UnixConnection(http.client.HTTPConnection):
    """A connection for one request.

    ``seconds`` is the time limit for the whole answer, and ``limit`` its size in bytes; None for no limit.  Connecting fails with
    ``Untrusted``, and reading with ``AnswerTooLarge`` and ``TimeoutError``.
    """

    def __init__(self, path: Path, trusted: Container[int], seconds: float | None, limit: int | None) -> None:
        super().__init__("hanoverd")
        self._path = path
        self._trusted = trusted
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._limit = limit

    def connect(self) -> None:
        """Connect, and check which user listens."""
        check_socket(self._path, self._trusted)
        self.sock = opened = _LimitedSocket(self._deadline, self._limit)
        opened.open(self._path)
        check_peer(opened, self._path, self._trusted)


class _LimitedSocket(socket.socket):
    """A socket whose time limit is that of all calls together.  HTTP reads with ``recv_into`` only."""

    def __init__(self, deadline: float | None, limit: int | None) -> None:
        super().__init__(socket.AF_UNIX)
        self._deadline = deadline
        self._left = limit

    def open(self, path: Path) -> None:
        """Connect, as soon as the listener's queue has room."""
        while True:
            self._limit_time()
            try:
                self.connect(str(path))
            except BlockingIOError:
                time.sleep(_RETRY_INTERVAL)
            else:
                return

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Receive data, within the limits."""
        self._limit_time()
        count = super().recv_into(buffer, nbytes, flags)
        if self._left is not None:
            self._left -= count
            if self._left < 0:
                raise AnswerTooLarge
        return count

    def _limit_time(self) -> None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self.settimeout(left)
