"""Checks each request before anything else looks at it."""

from __future__ import annotations

from html import escape
from typing import Protocol

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from hanoverd.runtime.refusal import Refused
from hanoverd.web.visitors import field

#: The parameter of a URL that says that it was asked for again.
_AGAIN = "again"


class Checking(Protocol):
    """What checks requests."""

    def check(self, request: Request) -> None:
        """Set the headers of an answer; raise ``Refused`` for a request that is not for this page."""

    def refusal(self, request: Request, refused: Refused) -> bytes:
        """Return the page that says why a request is refused."""

    def withholds_cookie(self, request: Request) -> bool:
        """Return whether a browser has a cookie and does not send it, because a link on another site has led here."""


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
        if self._server.withholds_cookie(request) and not field(request, _AGAIN):
            return _asked_again(request)
        answer: bytes | int = self._inner.render(request)
        return answer


def _asked_again(request: Request) -> bytes:
    """Return a page that asks for the same page again: now it is the page itself that asks, and the browser sends its cookie.

    Without that, a user who follows a link from another site would have to log in, and the new cookie would end the old session.
    """
    path = "/" + request.uri.decode("ascii", "replace").lstrip("/")
    url = escape(f"{path}{'&' if '?' in path else '?'}{_AGAIN}=1")
    body = (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>hanoverd</title>'
        f'<meta http-equiv="refresh" content="0;url={url}"><p><a href="{url}">Continue</a></p></html>\n'
    ).encode()
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    return body
