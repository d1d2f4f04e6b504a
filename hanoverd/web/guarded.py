"""Checks each request before anything else looks at it."""

from __future__ import annotations

from typing import Protocol

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from hanoverd.web.guard import Refused


class Checking(Protocol):
    """What checks requests."""

    def check(self, request: Request) -> None:
        """Set the headers of an answer; raise ``Refused`` for a request that is not for this page."""

    def refusal(self, request: Request, refused: Refused) -> bytes:
        """Return the page that says why a request is refused."""


class Guarded(Resource):
    """Refuses requests that are not for this page, whatever their paths."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, server: Checking, inner: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Twisted's
        self._server = server
        self._inner = inner

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        try:
            self._server.check(request)
        except Refused as refused:
            return self._server.refusal(request, refused)
        answer: bytes | int = self._inner.render(request)
        return answer
