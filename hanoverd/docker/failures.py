"""The cause of a failed request, found in the chain of errors that docker-py and the libraries below it raise."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Iterator

from hanoverd.docker.address import EngineAddress
from hanoverd.runtime.errors import EngineError, EnginePermission, EngineUnreachable

_QUERY = re.compile(r"\?[^\s'\"]*")


def connection_failure(action: str, address: EngineAddress, error: Exception) -> EngineError:
    """Return the error to raise for a request (``action``: "cannot …") that got no answer from the engine at ``address``."""
    number = _errno_of(error)
    if number in (errno.EACCES, errno.EPERM):
        return EnginePermission(
            f"permission denied by the Docker engine at {address}: run hanoverd as root, or as a member of the "
            "group that owns the socket (`docker`), or set DOCKER_HOST"
        )
    if tls := [one for one in _chain(error) if isinstance(one, ssl.SSLError)]:
        return EngineUnreachable(
            f"{action}: no TLS with the Docker engine at {address} ({tls[-1].args[-1]}): check the files ca.pem, "
            "cert.pem and key.pem in DOCKER_CERT_PATH, and that the engine speaks TLS there"
        )
    reason = errno.errorcode.get(number, "") if number else ""
    return EngineUnreachable(
        f"{action}: no Docker engine answers at {address}{': ' + reason if reason else ''} ({_innermost_text(error)}). "
        "Is it running? Start it, or set DOCKER_HOST to its address"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, then its causes and contexts, and the errors that libraries pass as arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)]
            waiting += [argument for argument in one.args if isinstance(argument, BaseException)]


def _errno_of(error: BaseException) -> int | None:
    # The numbers in an SSLError are OpenSSL's, not the system's.
    numbers = [e.errno for e in _chain(error) if isinstance(e, OSError) and not isinstance(e, ssl.SSLError) and e.errno]
    return numbers[0] if numbers else None


def _innermost_text(error: BaseException) -> str:
    """Return the text of the innermost error: the outer ones repeat each other."""
    texts = [one.strerror for one in _chain(error) if isinstance(one, OSError) and one.strerror]
    # The query of a URL has the values of build arguments.
    return str(texts[-1]) if texts else _QUERY.sub("?…", f"{type(error).__name__}: {error}")
