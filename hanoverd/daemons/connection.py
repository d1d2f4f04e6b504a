"""HTTP and JSON with running daemons, on their Unix sockets.

Only the sockets of trusted users are used: root, this user, and users of the engine. What another user says in the name
of an app would be shown to root as the truth.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from hanoverd.daemons.unix_connection import (
    AnswerTooLarge,
    UnixConnection,
    Untrusted,
    check_socket,
    folder_problem,
)
from hanoverd.docker.access import TrustedUsers
from hanoverd.network.name_lock import if_unlocked
from hanoverd.runtime.errors import ControlError
from hanoverd.runtime.sockets import app_of, searched_folders, socket_of

#: How long a daemon may take for the whole answer to a short request, in seconds.
ANSWER_TIMEOUT = 10.0

#: The largest answer that is not a stream, and the longest line of a stream, in bytes.
MOST_BYTES = 16 * 1024 * 1024

#: How many files of a folder are looked at: another user can fill a folder of their own.
_MOST_FILES = 10_000

_OK, _PIECE = 200, 64 * 1024

_FAILURES = (OSError, http.client.HTTPException, Untrusted, AnswerTooLarge)


class Daemon:
    """A running daemon, by its app and the path of its socket.  All methods fail with ``ControlError``."""

    def __init__(self, app: str, path: Path, trusted: Container[int]) -> None:
        self.app = app
        self.path = path
        self._trusted = trusted

    def get(self, resource: str, *, is_short: bool = True) -> Any:
        """Return the answer to a GET request; without a time limit unless it ``is_short``."""
        timeout = ANSWER_TIMEOUT if is_short else None
        return self.parsed(self._read(self._request("GET", resource, None, timeout, MOST_BYTES)))

    def post(self, resource: str, body: Mapping[str, object] | None = None, *, is_short: bool = True) -> Any:
        """Return the answer to a POST request; without a time limit unless it ``is_short``."""
        timeout = ANSWER_TIMEOUT if is_short else None
        return self.parsed(self._read(self._request("POST", resource, body or {}, timeout, MOST_BYTES)))

    def lines(self, resource: str) -> Iterator[str]:
        """Yield the lines of an answer as they come, until it or the daemon ends."""
        answer = self._request("GET", resource, None, None, None)
        with answer:
            try:
                while line := answer.readline(MOST_BYTES + 1):
                    if len(line) > MOST_BYTES:
                        raise self._no_answer("a line of its answer is too long")
                    yield line.decode(errors="replace").rstrip("\n")
            except (OSError, http.client.HTTPException):
                return  # The daemon has ended.

    def objects(self, resource: str) -> Iterator[Any]:
        """Yield the JSON objects of an answer that has one per line; see ``lines``."""
        for line in self.lines(resource):
            yield self.parsed(line)

    def refusal(self) -> str | None:
        """Return why its socket is not used; None if it can be used, or if there is none."""
        try:
            check_socket(self.path, self._trusted)
        except Untrusted as error:
            return str(error)
        except OSError:
            return None
        return None

    def is_running(self) -> bool:
        """Return whether a process listens on the socket, also one that belongs to another user."""
        with socket.socket(socket.AF_UNIX) as connection:
            # The connect must not wait where the listener does not accept.
            connection.setblocking(False)  # noqa: FBT003  # Python's
            try:
                connection.connect(str(self.path))
            except (PermissionError, BlockingIOError):
                return True
            except OSError:
                return False
        return True

    def remove_stale_socket(self) -> None:
        """Remove the socket if its daemon was killed; one of another user stays.  Call it while the app's name is locked."""
        if not self.is_running():
            try:
                self.path.unlink(missing_ok=True)
            except OSError:
                return

    def _request(
        self,
        method: str,
        resource: str,
        body: Mapping[str, object] | None,
        timeout: float | None,
        limit: int | None,
    ) -> http.client.HTTPResponse:
        connection = UnixConnection(self.path, self._trusted, timeout, limit)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, resource, content, {"Connection": "close"})
            answer = connection.getresponse()
        except _FAILURES as error:
            raise self._explained(error) from None
        finally:
            # The answer keeps the connection open until it is closed itself.
            if connection.sock is not None:
                connection.sock.close()
        if answer.status != _OK:
            raise ControlError(f"{self.app}: {self._error(answer)}")
        return answer

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        with answer:
            try:
                # In pieces: one read would first allocate as much as the answer claims to have.
                return b"".join(iter(partial(answer.read, _PIECE), b""))
            except _FAILURES as error:
                raise self._explained(error) from None

    def parsed(self, text: bytes | str) -> Any:
        """Return the JSON value of an answer, or of a part of it."""
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._no_answer("its answer is not valid JSON") from None

    def _error(self, answer: http.client.HTTPResponse) -> str:
        text = self._read(answer).decode(errors="replace").strip()
        try:
            return str(json.loads(text)["error"])
        except (ValueError, RecursionError, KeyError, TypeError):
            return f"HTTP status {answer.status}: {text}"

    def _explained(self, error: Exception) -> ControlError:
        """Return the error to raise for one of ``_FAILURES``."""
        if isinstance(error, PermissionError):
            return ControlError(
                f"the hanoverd that serves {self.app} belongs to another user: run this command as that user or as root "
                f"({self.path})"
            )
        if isinstance(error, Untrusted):
            return ControlError(refused(self.app, str(error)))
        return self._no_answer("its answer is too large" if isinstance(error, AnswerTooLarge) else str(error))

    def _no_answer(self, why: str) -> ControlError:
        return ControlError(f"the hanoverd that serves {self.app} does not answer ({self.path}): {why}")


def running_daemons(
    environ: Mapping[str, str], uid: int, known: Container[Path] = ()
) -> tuple[list[Daemon], list[str]]:
    """Return the running daemons whose sockets are in this user's folders, by the names of their apps, and what was refused.

    Removes the sockets that killed daemons left.  Those that are ``known`` to be running are not connected to.
    """
    trusted = TrustedUsers(environ)
    found: dict[str, Daemon] = {}
    problems = []
    for folder in searched_folders(environ, uid):
        sockets = _sockets(folder)
        problem = folder_problem(folder, trusted)
        if problem is not None:
            if any(app_of(path) for path in sockets):
                problems.append(
                    f"{folder} is not searched for apps, because another user could answer in their names: {problem}"
                )
            continue
        for path in sockets:
            app = app_of(path)
            if app is None or app in found:
                continue
            daemon = Daemon(app, path, trusted)
            refusal = daemon.refusal()
            if refusal is not None:
                problems.append(refused(app, refusal))
            elif path in known or daemon.is_running():
                found[app] = daemon
            else:
                # A daemon locks the name before it listens: one that starts keeps its socket.
                if_unlocked(app, folder, trusted, daemon.remove_stale_socket)
    return [found[app] for app in sorted(found)], problems


def find_daemon(app: str, environ: Mapping[str, str], uid: int) -> tuple[Daemon | None, list[str]]:
    """Return the running daemon of ``app``, None if there is none in this user's folders, and what was refused."""
    trusted = TrustedUsers(environ)
    problems = []
    for folder in searched_folders(environ, uid):
        daemon = Daemon(app, socket_of(folder, app), trusted)
        refusal = daemon.refusal()
        if refusal is not None:
            problems.append(refused(app, refusal))
        elif daemon.is_running():
            return daemon, problems
    return None, problems


def daemon_of(app: str, environ: Mapping[str, str], uid: int) -> Daemon:
    """Return the running daemon of ``app``; fail with ``ControlError``."""
    daemon, problems = find_daemon(app, environ, uid)
    if daemon is not None:
        return daemon
    if problems:
        raise ControlError("; ".join(problems))
    others = ", ".join(one.app for one in running_daemons(environ, uid)[0])
    folders = " and ".join(map(str, searched_folders(environ, uid)))
    raise ControlError(
        f"no hanoverd serves {app} ({f'running: {others}' if others else 'none is running'}; sockets are looked for in "
        f"{folders}). `hanoverd list` also shows apps that serve without a hanoverd"
    )


def refused(app: str, why: str) -> str:
    """Return the message about a socket that is not used."""
    return (
        f"{app}: its control socket is not used, because another user could answer in its name: {why}. Trusted are root, this "
        "user, and users who may use the engine"
    )


def _sockets(folder: Path) -> Sequence[Path]:
    try:
        return sorted(islice(folder.iterdir(), _MOST_FILES))
    except OSError:
        return []
