"""The control API: HTTP with JSON, for clients of the daemon's own user and root.  ``openapi.json`` describes it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict
from importlib import resources
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import globalLogPublisher
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from hanoverd.api.answers import fail, finish, internal_error, is_head, json_answer, refusal
from hanoverd.api.control import Control
from hanoverd.api.control_socket import peer_of, user_names
from hanoverd.api.event_stream import EVENT_STREAM, EventStream
from hanoverd.api.line_stream import LineStream
from hanoverd.api.paths import Paths
from hanoverd.api.questions import deployment_of, event_query, history_query, log_query, reason_of, version_of
from hanoverd.api.site import ControlSite
from hanoverd.history.record import COMMAND, Origin
from hanoverd.logs.entry import Entry
from hanoverd.logs.recent import RecentLog, left_out
from hanoverd.logs.tally import Tally
from hanoverd.runtime.errors import ControlError, HanoverdError, MissingExtra
from hanoverd.runtime.extras import Extra
from hanoverd.runtime.refusal import Refused
from hanoverd.runtime.systemd import unit_name
from hanoverd.runtime.tasks import Tasks
from hanoverd.text.decimal import parse_decimal

#: How many clients may follow the log, a handover or the events at once.
MOST_STREAMS = 50

#: The types of the content of streams: text, and a JSON object on each line.
_TEXT, _LINES = "text/plain; charset=utf-8", "application/x-ndjson"

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
        self.paths = Paths(
            {
                "/status": {"GET": lambda _: control.status().json()},
                "/versions": {"GET": self._versions},
                "/diff": {"GET": self._diff},
                "/history": {"GET": self._history},
                "/logs": {"GET": self._logs},
                "/events": {"GET": self._events},
                "/handovers/{id}": {"GET": self._follow},
                "/metrics": {"GET": self._metrics},
                "/openapi.json": {"GET": self._description},
                "/deploy": {"POST": self._deploy},
                "/rollback": {"POST": self._rollback},
                "/cancel": {"POST": self._cancel},
                "/pause": {"POST": lambda _: self._pause()},
                "/resume": {"POST": lambda _: {"held": control.resume()}},
                "/stop": {"POST": lambda _: self._stop()},
            }
        )

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
        try:
            if request.method == b"POST" and self._control.is_stopping:
                raise _stopping()
            answer = self.paths.answer(request)
        except Refused as refused:
            return refusal(request, refused)
        except Exception:  # noqa: BLE001  # a bug must end neither the connection nor the daemon
            return internal_error(request)
        return answer if answer is NOT_DONE_YET or isinstance(answer, bytes) else json_answer(request, 200, answer)

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
            finish(request, json_answer(request, 200, {"handover": None if record is None else record.json()}))

        return self._answer_later(request, cancel())

    def _stop(self) -> Mapping[str, Any]:
        self._control.stop()
        return {"pid": os.getpid(), "unit": unit_name(os.environ)}

    def _description(self, request: Request) -> bytes:
        request.setHeader("Content-Type", "application/json")
        return resources.files(__package__).joinpath("openapi.json").read_bytes()

    def _history(self, request: Request) -> int:
        return self._answer_of_others(request, self._control.history(history_query(request)))

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
        """Answer later with what ``work`` returns; it fails if the engine, or another program, does, or if no version is live."""

        async def answer() -> None:
            try:
                content = await work
            except HanoverdError as error:
                status = 409 if isinstance(error, ControlError) else 502
                finish(request, json_answer(request, status, {"error": str(error)}))
            else:
                finish(request, json_answer(request, 200, content))

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
            finish(request, exposition(self._tally, self._control.status(), connections))

        return self._answer_later(request, measure())

    def _pause(self) -> Mapping[str, Any]:
        self._control.pause()
        return {"paused": True}

    # -- streams

    def _logs(self, request: Request) -> int | bytes:
        query = log_query(request)
        if query.follow:
            self._check_streams()
        request.setHeader("Content-Type", _LINES if query.json else _TEXT)
        if is_head(request):
            return b""
        stream = LineStream(request, lambda count: query.line(left_out(count)), self._log.lines(query))
        if not query.follow:
            stream.finish_when_sent()
            return NOT_DONE_YET

        def send(entry: Entry) -> None:
            if query.is_wanted(entry):
                stream.send(query.line(entry))

        never: Deferred[None] = Deferred()
        return self._answer_later(request, self._following(send, never))

    def _events(self, request: Request) -> int | bytes:
        query = event_query(request)
        self._check_streams()
        if is_head(request):
            request.setHeader("Content-Type", EVENT_STREAM)
            return b""
        ring = self._log.events
        stream = EventStream(request, self._clock, ring.reader(query.since, output=query.output))
        return self._answer_later(request, stream.follow(ring.followers))

    def _check_streams(self) -> None:
        if len(self._log.followers) + len(self._log.events.followers) >= MOST_STREAMS:
            raise Refused(
                503, f"{MOST_STREAMS} clients follow the log, a handover or the events already: stop some of them"
            )

    def _follow(self, request: Request, text: str) -> int | bytes:
        number = parse_decimal(text)
        if number is None:
            raise Refused(404, "the ID of a handover is a number")
        if not self._control.is_known(number):
            raise Refused(404, f"there is no handover {number}, or it is no longer remembered")
        self._check_streams()
        request.setHeader("Content-Type", _LINES)
        if is_head(request):
            return b""
        stream = LineStream(request, lambda count: _handover_line(left_out(count)))

        async def follow_handover() -> None:
            over = Deferred.fromCoroutine(self._control.ended(number))
            record = await self._following(lambda entry: stream.send(_handover_line(entry)), over)
            stream.send(json.dumps({"handover": record.json()}), is_last=True)
            stream.finish()
            finish(request)

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
                finish(request, b"" if request.startedWriting else refusal(request, _stopping()))
            except Exception:  # noqa: BLE001  # as in ``render``
                fail(request)

        request.notifyFinish().addErrback(lambda _: answering.cancel())
        self._answering.start(answered())
        return NOT_DONE_YET


def _stopping() -> Refused:
    return Refused(503, "hanoverd is stopping")


def _handover_line(entry: Entry) -> str:
    return json.dumps({"line": entry.text})


class _Root(Resource):
    """Answers requests for all paths."""

    isLeaf = True  # noqa: N815  # Resource's name for it

    def __init__(self, server: ControlServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self._server = server

    def render(self, request: Request) -> bytes | int:
        """Answer a request."""
        answer = self._server.render(request)
        if isinstance(answer, bytes) and answer and request.method == b"HEAD":
            # Twisted would log that there is a body.
            request.setHeader("Content-Length", str(len(answer)))
            return b""
        return answer
