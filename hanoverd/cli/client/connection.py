"""HTTP and JSON with running daemons, on their unix sockets."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.sockets import app_of, searched_folders, socket_of

#: How long a daemon may take to answer what it can answer at once, in seconds.
WITHIN = 10.0

_OK = 200


class Daemon:
    """The daemon that serves ``app``, at ``path``."""

    def __init__(self, app: str, path: Path) -> None:
        self.app = app
        self._path = path

    def get(self, what: str) -> Any:
        """What it answers to a question."""
        return json.loads(self._request("GET", what, None, WITHIN).read())

    def order(self, what: str, asked: Mapping[str, object] | None = None, *, within: float | None = WITHIN) -> Any:
        """What it answers to an order; ``within`` None is for ever."""
        return json.loads(self._request("POST", what, asked or {}, within).read())

    def lines(self, what: str) -> Iterator[str]:
        """The lines of an answer, as they come."""
        answer = self._request("GET", what, None, None)
        try:
            for line in answer:
                yield line.decode(errors="replace").rstrip("\n")
        except (OSError, http.client.HTTPException):
            return  # The daemon has ended.

    def _request(
        self, method: str, what: str, asked: Mapping[str, object] | None, within: float | None
    ) -> http.client.HTTPResponse:
        connection = _UnixConnection(self._path, within)
        body = None if asked is None else json.dumps(asked)
        try:
            connection.request(method, what, body, {"Connection": "close"})
            answer = connection.getresponse()
        except PermissionError:
            raise ControlError(
                f"the hanoverd that serves {self.app} belongs to another user: ask as that user, or as root ({self._path})"
            ) from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(
                f"the hanoverd that served {self.app} has ended, without a chance to clean up ({self._path}): start it again"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise ControlError(f"the hanoverd that serves {self.app} does not answer ({self._path}): {error}") from None
        if answer.status != _OK:
            raise ControlError(f"{self.app}: {_error(answer)}")
        return answer


def running(environ: Mapping[str, str], uid: int) -> list[Daemon]:
    """All daemons whose sockets are where this user's may be, ended ones among them, by the names of their apps."""
    found: dict[str, Daemon] = {}
    for folder in searched_folders(environ, uid):
        for path in _sockets(folder):
            app = app_of(path)
            if app is not None:
                found.setdefault(app, Daemon(app, path))
    return [found[app] for app in sorted(found)]


def daemon_of(app: str, environ: Mapping[str, str], uid: int) -> Daemon:
    """The one that serves ``app``; fails with ``ControlError``."""
    folders = searched_folders(environ, uid)
    for folder in folders:
        path = socket_of(folder, app)
        # Not exists(): that is False for what we may not see.
        if path in _sockets(folder):
            return Daemon(app, path)
    others = ", ".join(daemon.app for daemon in running(environ, uid))
    raise ControlError(
        f"no hanoverd serves an app named {app} here ({f'there are: {others}' if others else 'there is none at all'}; "
        f"looked in {' and '.join(map(str, folders))})"
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
    def __init__(self, path: Path, within: float | None) -> None:
        super().__init__("hanoverd", timeout=within)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
