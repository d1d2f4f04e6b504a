"""The page in the browser: its paths, and who may ask for them (with klein: the only module that imports it).

``GET /`` shows all apps, ``/apps/NAME`` one; ``/live`` and ``/apps/NAME/logs`` are streams of server-sent events; ``/metrics`` is text for
Prometheus.  ``POST /apps/NAME/deploy`` and so on are the forms of the page, ``/login`` and ``/logout`` too.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException, NotFound

from hanoverd.runtime.errors import ControlError, WebError
from hanoverd.runtime.refusal import Refused
from hanoverd.web.actions import note_of, request_of
from hanoverd.web.assets import assets
from hanoverd.web.daemons import DaemonClient
from hanoverd.web.details import Details
from hanoverd.web.guard import HEADERS, Guard
from hanoverd.web.guarded import Guarded
from hanoverd.web.login import ATTEMPT_PERIOD, TooManyAttempts
from hanoverd.web.metrics import CONTENT_TYPE
from hanoverd.web.notes import Note, Notes
from hanoverd.web.pages import Chrome, Pages
from hanoverd.web.query import AppQuery
from hanoverd.web.scraping import Scraping
from hanoverd.web.slots import Slot, Subscription
from hanoverd.web.state import AppState, HostState
from hanoverd.web.streams import BrowserStream, LiveStream, LogStream
from hanoverd.web.visitors import Visitor, Visitors, address_of, field, head_of
from hanoverd.web.watch import InThread

log = Logger()

#: How many streams there are at most; and how many of them follow the log of one app, whose daemon has a limit, too.
MOST_STREAMS, MOST_LOGS = 100, 20

#: How many lines of the log a stream begins with.
LOG_LINES = 200

_FOREVER = "public, max-age=31536000, immutable"


class Watching(Protocol):
    """The apps."""

    subscribers: set[Callable[[str], object]]

    @property
    def host(self) -> HostState:
        """All apps."""

    def app(self, name: str) -> AppState | None:
        """Return the state of an app; None if there is no such app."""

    def client(self, name: str) -> DaemonClient | None:
        """Return what asks the daemon of an app; None if there is no such app."""

    async def ready(self) -> None:
        """Wait a moment for the first answers of the daemons."""

    async def fresh(self, name: str) -> None:
        """Wait a moment for the status that an app has now."""


class PageServer:
    """Answers requests; ``allows_actions`` is whether users may change anything."""

    _app = Klein()

    def __init__(
        self,
        clock: IReactorTime,
        watching: Watching,
        guard: Guard,
        visitors: Visitors,
        in_thread: InThread,
        *,
        allows_actions: bool,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._watching = watching
        self._guard = guard
        self._visitors = visitors
        self._allows_actions = allows_actions
        self._now = now
        self._pages = Pages()
        self._notes = Notes()
        self._details = Details(clock)
        self._scraping = Scraping(clock, self._clients, in_thread)
        self._host = platform.node()
        self._streams: Counter[str] = Counter()

    def resource(self) -> IResource:
        """Return what answers all requests."""
        return Guarded(self, self._app.resource())

    def stop(self) -> None:
        """Cancel what is asked of daemons."""
        self._details.stop()
        self._scraping.stop()

    def check(self, request: Request) -> None:
        """Set the headers of an answer; raise ``Refused`` for a request that is not for this page."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        self._guard.check(head_of(request))

    def withholds_cookie(self, request: Request) -> bool:
        """Return whether a browser has a cookie and does not send it, because a link on another site has led here."""
        return self._visitors.withholds_cookie(request)

    def refusal(self, request: Request, refused: Refused) -> bytes:
        """Return the page that says why a request is refused."""
        for name, value in refused.headers.items():
            request.setHeader(name, value)
        return self._error(request, refused.status, str(refused))

    # -- pages

    @_app.route("/", methods=["GET"])
    async def _index(self, request: Request) -> bytes:
        visitor = self._admitted_to_page(request, "/")
        if visitor is None:
            return b""
        await self._watching.ready()
        return self._html(request, self._pages.index(self._watching.host, self._chrome(request, visitor)))

    @_app.route("/apps/<name>", methods=["GET"])
    async def _app_page(self, request: Request, name: str) -> bytes:
        visitor = self._admitted_to_page(request, _page_of(name))
        if visitor is None:
            return b""
        state, client = await self._found(name)
        query = AppQuery.of(request.args or {})
        state = await self._details.of(state, client, all_handovers=query != AppQuery())
        return self._html(request, self._pages.app(state, self._chrome(request, visitor), query))

    @_app.route("/static/<name>", methods=["GET"])
    def _static(self, request: Request, name: str) -> bytes:
        asset = assets().get(name)
        if asset is None:
            raise NotFound
        request.setHeader("Content-Type", asset.content_type)
        request.setHeader("Cache-Control", _FOREVER if field(request, "v") == asset.version else "no-cache")
        return asset.body

    # -- login

    @_app.route("/login", methods=["GET"])
    def _login_page(self, request: Request) -> bytes:
        visitor = self._visitors.visitor(request)
        if visitor.is_admitted:
            return _redirected(request, "/")
        return self._html(request, self._pages.login(self._chrome(request, visitor), ""))

    @_app.route("/login", methods=["POST"])
    async def _log_in(self, request: Request) -> bytes:
        login = self._visitors.login
        if login is None:
            return _redirected(request, "/")
        visitor = self._visitors.visitor(request)
        self._visitors.check_form(request, visitor)
        try:
            if await login.is_token(field(request, "token").strip(), address_of(request)):
                self._visitors.set_cookie(request, self._visitors.sessions.begin(self._clock.seconds()))
                log.info("page: login from {peer}", event="page_login", peer=address_of(request))
                return _redirected(request, self._visitors.wanted(visitor))
            status, problem = 403, "This is not the token. `hanoverd web --new-token` makes a new one."
        except TooManyAttempts as error:
            status, problem = 429, f"Nothing was checked: {error}."
            request.setHeader("Retry-After", f"{ATTEMPT_PERIOD:.0f}")
        request.setResponseCode(status)
        return self._html(request, self._pages.login(self._chrome(request, visitor), problem))

    @_app.route("/logout", methods=["POST"])
    def _log_out(self, request: Request) -> bytes:
        visitor = self._visitors.visitor(request)
        self._visitors.check_form(request, visitor)
        self._visitors.sessions.end(visitor.cookie)
        self._visitors.set_cookie(request, self._visitors.sessions.new_cookie())
        return _redirected(request, "/login")

    # -- actions

    @_app.route("/apps/<name>/<verb>", methods=["POST"])
    async def _act(self, request: Request, name: str, verb: str) -> bytes:
        visitor = self._visitors.admitted(request)
        try:
            asked = request_of(verb, field(request, "version"))
        except ValueError as error:
            raise Refused(400, f"{name}: {error}.") from None
        if asked is None:
            raise NotFound
        if not self._allows_actions:
            raise Refused(
                403, "This page only shows the apps. Start it with `hanoverd web --allow-actions` to change them here."
            )
        self._visitors.check_form(request, visitor)
        _, client = await self._found(name)
        path, body = asked
        try:
            note = note_of(verb, name, await client.post(path, body))
            await self._watching.fresh(name)
        except ControlError as error:
            note = Note(f"{error}", is_error=True)
        log.info("page: {action} of {app}", event="page_action", action=verb, app=name, peer=address_of(request))
        return _redirected(request, f"{_page_of(name)}?note={self._notes.add(note)}")

    # -- streams, and metrics

    @_app.route("/live", methods=["GET"])
    async def _live(self, request: Request) -> None:
        self._visitors.admitted(request)
        if request.method == b"HEAD":
            return
        stream = LiveStream(request, self._clock, self._visitors.still_allowed(request))
        with Slot(self._streams, "", MOST_STREAMS), Subscription(self._watching.subscribers, stream.changed):
            await self._send(stream, stream.wait())

    @_app.route("/apps/<name>/logs", methods=["GET"])
    async def _logs(self, request: Request, name: str) -> None:
        self._visitors.admitted(request)
        _, client = await self._found(name)
        if request.method == b"HEAD":
            return
        stream = LogStream(request, self._clock, self._visitors.still_allowed(request))
        with Slot(self._streams, name, MOST_LOGS), Slot(self._streams, "", MOST_STREAMS):
            await self._send(stream, client.follow(f"/logs?follow=1&tail={LOG_LINES}", stream))

    @_app.route("/metrics", methods=["GET"])
    async def _metrics(self, request: Request) -> bytes:
        await self._visitors.check_program(request)
        await self._watching.ready()
        text = await self._scraping.exposition()
        request.setHeader("Content-Type", CONTENT_TYPE)
        return text.encode()

    # -- errors

    @_app.handle_errors(Refused, HTTPException, WebError)
    def _failed(self, request: Any, failure: Failure) -> bytes:
        error: Any = failure.value
        if isinstance(error, Refused):
            return self.refusal(request, error)
        if isinstance(error, WebError):
            log.error("page: {error}", event="page_failed", error=error)
            return self._error(request, 503, str(error))
        if isinstance(error, NotFound):
            return self._error(request, 404, "There is no such page.")
        return self._error(request, error.code or 500, error.name)

    @_app.handle_errors(CancelledError)
    def _cancelled(self, request: Any, failure: Failure) -> bytes:
        # The browser has gone, or the page stops.
        del request, failure
        return b""

    @_app.handle_errors(Exception)
    def _broken(self, request: Any, failure: Failure) -> bytes:
        log.failure("page: internal error", failure, event="internal_error")
        return self._error(
            request, 500, "This page cannot be shown because of an error in hanoverd. Its log has the details."
        )

    # -- what they share

    def _admitted_to_page(self, request: Request, path: str) -> Visitor | None:
        """Return the browser; None if it is sent to the login, and then to ``path``."""
        visitor = self._visitors.visitor(request)
        if visitor.is_admitted:
            return visitor
        self._visitors.want(visitor, path)
        _redirected(request, "/login")
        return None

    async def _found(self, name: str) -> tuple[AppState, DaemonClient]:
        await self._watching.ready()
        state, client = self._watching.app(name), self._watching.client(name)
        if state is None or client is None:
            raise Refused(404, f"There is no app {name} on this host, or no hanoverd serves it.")
        return state, client

    def _clients(self) -> dict[str, DaemonClient]:
        found = {one.app: self._watching.client(one.app) for one in self._watching.host.apps}
        return {app: client for app, client in found.items() if client is not None}

    async def _send(self, stream: BrowserStream, work: Coroutine[Deferred[Any], Any, None]) -> None:
        """Send a stream until ``work`` ends, or the stream should; a browser that disconnects cancels it."""
        stream.open()
        following = Deferred.fromCoroutine(work)
        stream.ended.addBoth(lambda _: following.cancel())
        try:
            await following
        except ControlError:
            pass  # The browser connects again.
        finally:
            stream.close()

    def _chrome(self, request: Request, visitor: Visitor) -> Chrome:
        note = self._notes.take(field(request, "note")) if visitor.is_admitted else Note()
        return Chrome(
            csrf=self._visitors.sessions.csrf(visitor.cookie),
            actions=self._allows_actions,
            can_log_out=self._visitors.login is not None and visitor.is_admitted,
            now=self._now(),
            message=note.text,
            is_error=note.is_error,
            host=self._host if visitor.is_admitted else "",
        )

    def _html(self, request: Request, text: str) -> bytes:
        body = text.encode()
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.setHeader("Content-Length", str(len(body)))
        return body

    def _error(self, request: Request, status: int, text: str) -> bytes:
        request.setResponseCode(status, HTTPStatus(status).phrase.encode())
        chrome = Chrome(csrf="", actions=False, can_log_out=False, now=self._now())
        return self._html(request, self._pages.error(status, text, chrome))


def _page_of(app: str) -> str:
    return f"/apps/{quote(app, safe='')}"


def _redirected(request: Request, path: str) -> bytes:
    request.setResponseCode(303)
    request.setHeader("Location", path)
    return b""
