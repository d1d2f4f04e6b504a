"""Who sends a request: a browser with the cookie of a session, or a program with the token."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.web.server import Request

from hanoverd.runtime.errors import WebError
from hanoverd.runtime.refusal import Refused
from hanoverd.web.guard import Head, is_link
from hanoverd.web.login import ATTEMPT_PERIOD, Login, TooManyAttempts
from hanoverd.web.sessions import LONGEST, Sessions

_BEARER = "bearer "

_FORBIDDEN = 403

#: How many browsers that have to log in are remembered with the page that they asked for.
_MOST_WANTED = 100


@dataclass(frozen=True)
class Visitor:
    """A browser: the value of its cookie, and whether it may see the apps."""

    cookie: str
    is_admitted: bool


class Visitors:
    """Knows browsers by their cookies.  ``login`` is None where no login is required; ``port`` is that of the page."""

    def __init__(self, sessions: Sessions, login: Login | None, port: int) -> None:
        self.sessions = sessions
        self.login = login
        # The paths that browsers asked for before their login, by their cookies.
        self._wanted: dict[str, str] = {}
        # Browsers send cookies to all ports of a host.
        self._cookie = f"hanoverd-{port}"
        self._marker = f"{self._cookie}-here"

    def visitor(self, request: Request) -> Visitor:
        """Return who sends a request; a browser without a cookie gets one.  Fails with ``WebError``."""
        cookie = self.cookie_of(request)
        is_admitted = self.login is None or (bool(cookie) and self.login.is_logged_in(cookie))
        if not cookie:
            cookie = self.sessions.new_cookie()
            self.set_cookie(request, cookie)
        return Visitor(cookie, is_admitted)

    def want(self, visitor: Visitor, path: str) -> None:
        """Remember which page a browser asked for before its login."""
        self._wanted[visitor.cookie] = path
        while len(self._wanted) > _MOST_WANTED:
            del self._wanted[next(iter(self._wanted))]

    def wanted(self, visitor: Visitor) -> str:
        """Return the path of the page that a browser asked for before its login, by default of the first page."""
        return self._wanted.pop(visitor.cookie, "/")

    def cookie_of(self, request: Request) -> str:
        """Return the value of a browser's cookie, "" without one."""
        value = request.getCookie(self._cookie.encode())
        return (value or b"").decode("ascii", "replace")

    def set_cookie(self, request: Request, cookie: str) -> None:
        """Make the browser keep a cookie: no script can read it, and it comes only with requests from the page itself.

        A second one, without a secret, also comes when a link on another site leads here: see ``withholds_cookie``.
        """
        for name, value, same_site in ((self._cookie, cookie, "strict"), (self._marker, "1", "lax")):
            request.addCookie(
                name,
                value,
                path="/",
                max_age=str(int(LONGEST)),
                secure=header(request, "x-forwarded-proto").lower() == "https",
                httpOnly=True,
                sameSite=same_site,
            )

    def withholds_cookie(self, request: Request) -> bool:
        """Return whether a browser has a cookie and does not send it, because a link on another site has led here.

        Browsers send Sec-Fetch-Site over TLS and to loopback addresses only (Fetch Metadata, section 3).
        """
        has_marker = request.getCookie(self._marker.encode()) is not None
        is_withheld = is_link(head_of(request)) or (has_marker and not self.cookie_of(request))
        return request.method == b"GET" and is_withheld

    def admitted(self, request: Request) -> Visitor:
        """Return the browser; ``Refused`` if it has to log in first."""
        visitor = self.visitor(request)
        if not visitor.is_admitted:
            raise Refused(401, "Log in first: the session has ended.")
        return visitor

    async def check_program(self, request: Request) -> None:
        """Raise ``Refused`` unless a request has the token, or the cookie of a session.  Fails with ``WebError``."""
        login, token = self.login, bearer_of(request)
        if login is None or self.visitor(request).is_admitted:
            return
        try:
            is_right = bool(token) and await login.is_token(token, address_of(request))
        except TooManyAttempts as error:
            raise Refused(429, f"Nothing was checked: {error}.", {"Retry-After": f"{ATTEMPT_PERIOD:.0f}"}) from None
        if not is_right:
            raise Refused(
                401,
                "Send the page's token: `Authorization: Bearer TOKEN`.",
                {"WWW-Authenticate": 'Bearer realm="hanoverd"'},
            )

    def still_allowed(self, request: Request) -> Callable[[], bool]:
        """Return what says later whether the browser may still see the apps."""
        login, cookie = self.login, self.cookie_of(request)

        def is_allowed() -> bool:
            try:
                return login is None or login.is_logged_in(cookie)
            except WebError:
                return False

        return is_allowed

    def check_form(self, request: Request, visitor: Visitor) -> None:
        """Raise ``Refused`` unless the form that a request sends comes from a page for this browser."""
        if not self.sessions.is_csrf(visitor.cookie, field(request, "csrf")):
            raise Refused(
                _FORBIDDEN,
                "This form is out of date: the page was restarted, or you have logged in or out since. Nothing was done. Load "
                "the page again.",
            )


def header(request: Request, name: str) -> str:
    """Return the value of a request's header, "" without one."""
    # By bytes: asked for by a text, a header that is not UTF-8 raises an error.
    return (request.getHeader(name.encode()) or b"").decode("utf-8", "replace")


def field(request: Request, name: str) -> str:
    """Return a field of a form, or a parameter of a URL; "" if it is not there."""
    found: Any = request.args or {}
    return next(iter(found.get(name.encode(), ())), b"").decode("utf-8", "replace")


def bearer_of(request: Request) -> str:
    """Return the token that a program sends (RFC 6750), "" if it sends none."""
    value = header(request, "authorization")
    return value[len(_BEARER) :].strip() if value.lower().startswith(_BEARER) else ""


def address_of(request: Request) -> str:
    """Return the address of the client."""
    return str(getattr(request.getClientAddress(), "host", ""))


def head_of(request: Request) -> Head:
    """Return what the guard needs."""
    return Head(
        request.method.decode("ascii", "replace"),
        str(getattr(request.getHost(), "host", "")),
        lambda name: header(request, name),
    )
