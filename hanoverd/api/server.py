"""The control API: HTTP with JSON, for clients of the daemon's own user and root.

``GET /status``, ``/versions``, ``/diff``, ``/history`` (see ``HistoryQuery``), ``/logs`` (see ``LogQuery``), ``/handovers/ID`` (a stream of JSON objects, one
per line: the log, and at the end the handover's record), ``/events`` (see ``EventStream``), ``/metrics`` (text for Prometheus).  ``POST /deploy``, ``/rollback``, ``/cancel``, ``/pause``,
``/resume``, ``/stop``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from hanoverd.api.control import Control
from hanoverd.api.control_socket import peer_of, user_names
from hanoverd.api.event_stream import EventStream
from hanoverd.api.line_stream import LineStream
from hanoverd.api.questions import Refused, deployment_of, event_query, history_query, log_query, reason_of, version_of
from hanoverd.api.site import ControlSite
from hanoverd.history.record import COMMAND, Origin
from hanoverd.logs.entry import Entry
from hanoverd.logs.recent import RecentLog, left_out
from hanoverd.logs.tally import Tally
from hanoverd.runtime.errors import HanoverdError, MissingExtra
from hanoverd.runtime.extras import Extra
from hanoverd.runtime.systemd import unit_name
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.decimal import parse_decimal

#: How many clients may follow the log, a handover or the events at once.
MOST_STREAMS = 50

T = TypeVar("T")


class ControlServer:
    """Serves ``control`` where ``listen`` makes it listen.

    Making it listens at once, and fails as ``listen`` does.
    """

    def __init__(
        self, clock: IReactorTime, control: Control, log: RecentLog, listen: Callable[[Site], IListeningPort]
    ) -> None:
        self._clock = clock
        self._control = control
        self._log = log
        self._tally = Tally()
        self._answering = Tasks()
        self._users = user_names()
        self._listening = listen(ControlSite(_Root(self)))
        self._verbs: Mapping[str, Callable[[Request], Any]] = {
            "GET /status": lambda _: control.status().json(),
            "GET /versions": self._versions,
            "GET /diff": self._diff,
            "GET /history": lambda request: self._answer_of_others(request, control.history(history_query(request))),
            "GET /logs": self._logs,
            "GET /events": self._events,
            "GET /metrics": self._metrics,
            "POST /deploy": self._deploy,
            "POST /rollback": self._rollback,
            "POST /cancel": self._cancel,
            "POST /pause": lambda _: self._pause(),
            "POST /resume": lambda _: {"held": control.resume()},
            "POST /stop": lambda _: self._stop(),
        }

    @property
    def on_stop(self) -> Callable[[], object]:
        """What is called to stop the daemon."""
        return self._control.on_stop

    @on_stop.setter
    def on_stop(self, call: Callable[[], object]) -> None:
        self._control.on_stop = call

    def start(self) -> None:
        """Start to keep the log for ``/logs``, and to count for ``/metrics``."""
        self._log.start()
        globalLogPublisher.addObserver(self._tally)

    async def close(self) -> None:
        """Stop listening, and end the answers that are being sent; fires when that is done."""
        await maybeDeferred(self._listening.stopListening)
        await self._answering.stop()
        globalLogPublisher.removeObserver(self._tally)
        self._log.stop()

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        path = request.path.decode("utf-8", "replace")
        what = f"{request.method.decode('ascii', 'replace')} {path}"
        try:
            if what.startswith("GET /handovers/"):
                return self._follow(request, path.rpartition("/")[2])
            verb = self._verbs.get(what)
            if verb is None:
                raise Refused(404, f"unknown path or method: {what}")
            if request.method == b"POST" and self._control.is_stopping:
                raise Refused(503, "hanoverd is stopping")
            answer = verb(request)
        except Refused as refused:
            return _answer(request, refused.status, {"error": str(refused)})
        return answer if answer is NOT_DONE_YET else _answer(request, 200, answer)

    # -- commands

    def _deploy(self, request: Request) -> Mapping[str, Any]:
        asked = deployment_of(request)
        number = self._control.deploy(
            asked.image,
            reason_of(request, asked.reason),
            asked.status_timeout,
            if_changed=asked.if_changed,
            origin=self._origin(request),
        )
        return {"handover": number}

    def _rollback(self, request: Request) -> Mapping[str, Any]:
        number = version_of(request)
        reason = "hanoverd rollback" if number is None else f"hanoverd rollback ({number})"
        return {"handover": self._control.rollback(number, reason_of(request, reason), self._origin(request))}

    def _origin(self, request: Request) -> Origin:
        uid = peer_of(request.transport)
        return Origin(COMMAND, self._users.get(uid, ""), uid)

    def _cancel(self, request: Request) -> int:
        origin = self._origin(request)

        async def cancel() -> None:
            record = await self._control.cancel(f"`hanoverd cancel`, by {origin.user or f'uid {origin.uid}'}")
            _finish(request, _answer(request, 200, {"handover": None if record is None else record.json()}))

        return self._answer_later(request, cancel())

    def _stop(self) -> Mapping[str, Any]:
        self._control.stop()
        return {"pid": os.getpid(), "unit": unit_name(os.environ)}

    def _versions(self, request: Request) -> int:
        async def list_versions() -> object:
            return [asdict(one) for one in await self._control.versions()]

        return self._answer_of_others(request, list_versions())

    def _diff(self, request: Request) -> int:
        async def compare() -> object:
            version, found = await self._control.diff()
            return {"version": version, "differences": [asdict(one) for one in found]}

        return self._answer_of_others(request, compare())

    def _answer_of_others(self, request: Request, work: Coroutine[Deferred[Any], Any, object]) -> int:
        """Answer later with what ``work`` returns; it fails if the engine, or another program, does."""

        async def answer() -> None:
            try:
                content = await work
            except HanoverdError as error:
                _finish(request, _answer(request, 502, {"error": str(error)}))
            else:
                _finish(request, _answer(request, 200, content))

        return self._answer_later(request, answer())

    def _metrics(self, request: Request) -> int:
        try:
            Extra.METRICS.check()
        except MissingExtra as error:
            raise Refused(501, str(error)) from None
        # Late: the library is an extra, and takes memory.
        from hanoverd.api.metrics import CONTENT_TYPE, exposition  # noqa: PLC0415

        async def measure() -> None:
            connections = await self._control.connections()
            request.setHeader("Content-Type", CONTENT_TYPE)
            _finish(request, exposition(self._tally, self._control.status(), connections))

        return self._answer_later(request, measure())

    def _pause(self) -> Mapping[str, Any]:
        self._control.pause()
        return {"paused": True}

    # -- streams

    def _logs(self, request: Request) -> int:
        query = log_query(request)
        if query.follow:
            self._check_streams()
        stream = LineStream(request, lambda count: query.line(left_out(count)), self._log.lines(query))
        if not query.follow:
            stream.finish_when_sent()
            return NOT_DONE_YET

        def send(entry: Entry) -> None:
            if query.is_wanted(entry):
                stream.send(query.line(entry))

        never: Deferred[None] = Deferred()
        return self._answer_later(request, self._following(send, never))

    def _events(self, request: Request) -> int:
        query = event_query(request)
        self._check_streams()
        ring = self._log.events
        stream = EventStream(request, self._clock, ring.reader(query.since, output=query.output))
        return self._answer_later(request, stream.follow(ring.followers))

    def _check_streams(self) -> None:
        if len(self._log.followers) + len(self._log.events.followers) >= MOST_STREAMS:
            raise Refused(
                503, f"{MOST_STREAMS} clients follow the log, a handover or the events already: stop some of them"
            )

    def _follow(self, request: Request, text: str) -> int:
        number = parse_decimal(text)
        if number is None:
            raise Refused(404, "the ID of a handover is a number")
        if not self._control.is_known(number):
            raise Refused(404, f"there is no handover {number}, or it is no longer remembered")
        self._check_streams()
        stream = LineStream(request, lambda count: _handover_line(left_out(count)))

        async def follow_handover() -> None:
            over = Deferred.fromCoroutine(self._control.ended(number))
            record = await self._following(lambda entry: stream.send(_handover_line(entry)), over)
            stream.send(json.dumps({"handover": record.json()}), is_last=True)
            stream.finish()
            _finish(request)

        return self._answer_later(request, follow_handover())

    async def _following(self, follower: Callable[[Entry], object], until: Deferred[T]) -> T:
        """Call ``follower`` with each entry of the log until a Deferred fires; return its result."""
        self._log.followers.add(follower)
        try:
            return await until
        finally:
            self._log.followers.discard(follower)

    def _answer_later(self, request: Request, work: Coroutine[Deferred[Any], Any, None]) -> int:
        """Answer later; ``work`` is cancelled if the client disconnects."""
        answering = Deferred.fromCoroutine(work)

        async def answered() -> None:
            try:
                await answering
            except CancelledError:
                # The daemon stops, or the client has disconnected.
                _finish(request)

        request.notifyFinish().addErrback(lambda _: answering.cancel())
        self._answering.start(answered())
        return NOT_DONE_YET


def _handover_line(entry: Entry) -> str:
    return json.dumps({"line": entry.text})


def _finish(request: Request, body: bytes = b"") -> None:
    if not (request.finished or request._disconnected):  # noqa: SLF001  # Twisted has no other word for it
        request.unregisterProducer()
        request.write(body)
        request.finish()


def _answer(request: Request, status: int, content: object) -> bytes:
    request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    return json.dumps(content).encode() + b"\n"


class _Root(Resource):
    """Answers requests for all paths."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, server: ControlServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._server = server

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        return self._server.render(request)
