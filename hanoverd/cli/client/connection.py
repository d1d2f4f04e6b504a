"""HTTP and JSON with running daemons, on their Unix sockets."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hanoverd.network.name_lock import is_name_locked
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.sockets import app_of, searched_folders, socket_of

#: How long a daemon may take to answer a short request, in seconds.
ANSWER_TIMEOUT = 10.0

_OK = 200


class Daemon:
    """A running daemon, by its app and the path of its socket.  All methods fail with ``ControlError``."""

    def __init__(self, app: str, path: Path) -> None:
        self.app = app
        self._path = path

    def get(self, resource: str) -> Any:
        """Return the answer to a GET request."""
        return json.loads(self._request("GET", resource, None, ANSWER_TIMEOUT).read())

    def post(self, resource: str, body: Mapping[str, object] | None = None, *, is_short: bool = True) -> Any:
        """Return the answer to a POST request; without a time limit unless it ``is_short``."""
        return json.loads(self._request("POST", resource, body or {}, ANSWER_TIMEOUT if is_short else None).read())

    def lines(self, resource: str) -> Iterator[str]:
        """Yield the lines of an answer as they come, until it or the daemon ends."""
        answer = self._request("GET", resource, None, None)
        try:
            for line in answer:
                yield line.decode(errors="replace").rstrip("\n")
        except (OSError, http.client.HTTPException):
            return  # The daemon has ended.

    def is_running(self) -> bool:
        """Return whether a process listens on the socket, also one that belongs to another user."""
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(str(self._path))
            except PermissionError:
                return True
            except OSError:
                return False
        return True

    def remove_socket(self) -> None:
        """Remove the socket, which its daemon left when it was killed; one of another user stays."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return

    def _request(
        self, method: str, resource: str, body: Mapping[str, object] | None, timeout: float | None
    ) -> http.client.HTTPResponse:
        connection = _UnixConnection(self._path, timeout)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, resource, content, {"Connection": "close"})
            answer = connection.getresponse()
        except PermissionError:
            raise ControlError(
                f"the hanoverd that serves {self.app} belongs to another user: run this command as that user or as root "
                f"({self._path})"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"the hanoverd that serves {self.app} does not answer ({self._path}): {error}") from None
        if answer.status != _OK:
            raise ControlError(f"{self.app}: {_error(answer)}")
        return answer


def running_daemons(environ: Mapping[str, str], uid: int) -> list[Daemon]:
    """Return the running daemons whose sockets are in this user's folders, by the names of their apps.

    Removes the sockets that killed daemons left.
    """
    found: dict[str, Daemon] = {}
    for folder in searched_folders(environ, uid):
        for path in _sockets(folder):
            app = app_of(path)
            if app is None or app in found:
                continue
            daemon = Daemon(app, path)
            if daemon.is_running():
                found[app] = daemon
            elif not is_name_locked(app):
                # A daemon locks the name before it listens: this is not one that starts.
                daemon.remove_socket()
    return [found[app] for app in sorted(found)]


def find_daemon(app: str, environ: Mapping[str, str], uid: int) -> Daemon | None:
    """Return the running daemon of ``app``, None if there is none in this user's folders."""
    for folder in searched_folders(environ, uid):
        daemon = Daemon(app, socket_of(folder, app))
        if daemon.is_running():
            return daemon
    return None


def daemon_of(app: str, environ: Mapping[str, str], uid: int) -> Daemon:
    """Return the running daemon of ``app``; fail with ``ControlError``."""
    daemon = find_daemon(app, environ, uid)
    if daemon is not None:
        return daemon
    others = ", ".join(one.app for one in running_daemons(environ, uid))
    folders = " and ".join(map(str, searched_folders(environ, uid)))
    raise ControlError(
        f"no hanoverd serves {app} ({f'running: {others}' if others else 'none is running'}; sockets are looked for in "
        f"{folders}). `hanoverd list` also shows apps that serve without a hanoverd"
    )


def _sockets(folder: Path) -> Sequence[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _error(answer: http.client.HTTPResponse) -> str:
    text = answer.read().decode(errors="replace").strip()
    try:
        return str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status}: {text}"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float | None) -> None:
        super().__init__("hanoverd", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
