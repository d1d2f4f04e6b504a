"""The paths of the control API and their methods: which function answers a request, and with which status none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.web.server import Request

from hanoverd.runtime.refusal import Refused

#: Answers a request: what it returns is the answer, as JSON data, or ``NOT_DONE_YET``.  It also gets the variable parts of the path.
Handler = Callable[..., Any]


class Paths:
    """The functions that answer, by path and method.  A part of a path in braces is variable: ``/handovers/{id}``."""

    def __init__(self, handlers: Mapping[str, Mapping[str, Handler]]) -> None:
        self._handlers = handlers

    @property
    def operations(self) -> set[tuple[str, str]]:
        """All paths, each with each of its methods; HEAD and OPTIONS, which all paths have, are left out."""
        return {(path, method) for path, methods in self._handlers.items() for method in methods}

    def answer(self, request: Request) -> Any:
        """Return what the function for a request returns.

        HEAD is answered as GET: Twisted sends no body.  OPTIONS is answered with the methods.  Raises ``Refused``.
        """
        path, method = request.path.decode("utf-8", "replace"), request.method.decode("ascii", "replace")
        found = next(
            ((self._handlers[known], parts) for known in self._handlers if (parts := _parts(known, path)) is not None),
            None,
        )
        if found is None:
            raise Refused(404, f"unknown path: {path}")
        handlers, parts = found
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is not None:
            return handler(request, *parts)
        allow = ", ".join([*handlers, *(["HEAD"] if "GET" in handlers else []), "OPTIONS"])
        if method != "OPTIONS":
            raise Refused(405, f"{path} takes no {method} requests: {allow}", {"Allow": allow})
        request.setHeader("Allow", allow)
        return b""


def _parts(known: str, path: str) -> list[str] | None:
    """Return the variable parts of a path; None if it is another one."""
    expected, given = known.split("/"), path.split("/")
    if len(expected) != len(given):
        return None
    pairs = list(zip(expected, given, strict=True))
    if any(name != part for name, part in pairs if not name.startswith("{")):
        return None
    return [part for name, part in pairs if name.startswith("{")]
