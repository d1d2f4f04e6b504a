"""What a request to the control API asks for: its JSON body and its parameters, checked."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from twisted.web.server import Request

from hanoverd.history.record import DEFAULT_LIMIT, MOST_HANDOVERS, HistoryQuery
from hanoverd.logs.entry import APP, DAEMON
from hanoverd.logs.formats import JSON, TEXT
from hanoverd.logs.recent import LogQuery
from hanoverd.runtime.refusal import Refused
from hanoverd.spec.event_id import EventID
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.names import MOST_NUMBER
from hanoverd.text.decimal import parse_decimal
from hanoverd.text.durations import MOST_SECONDS, format_duration
from hanoverd.text.moments import Moment, parse_moment
from hanoverd.text.quoting import quoted

#: How the header User-Agent of the page in the browser begins (``hanoverd web``).
PAGE_AGENT = b"hanoverd-web/"

#: The highest number of a parameter: others could not be exact as JSON (RFC 8259, section 6).
MOST = 2**53 - 1


@dataclass(frozen=True)
class Deployment:
    """What to deploy: ``image`` None is the source's own; ``status_timeout``, in seconds, None is the app's.

    ``if_changed``: only if that changes something.
    """

    image: str | None = None
    status_timeout: float | None = None
    if_changed: bool = False

    @property
    def reason(self) -> str:
        """The reason of the handover, as the history shows it."""
        details = [] if self.image is None else [self.image]
        if self.status_timeout is not None:
            details.append(f"status timeout {format_duration(self.status_timeout)}")
        if self.if_changed:
            details.append("if changed")
        return f"hanoverd deploy ({', '.join(details)})" if details else "hanoverd deploy"


def deployment_of(request: Request) -> Deployment:
    """Return what to deploy.  Raises ``Refused``."""
    body = _body(request, ("image", "status_timeout", "if_changed"))
    return Deployment(_image(body.get("image")), _seconds(body, "status_timeout"), _boolean(body, "if_changed"))


def _boolean(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refused(400, f"{key} must be true or false")
    return value


def _image(image: object) -> str | None:
    if image is None:
        return None
    if not isinstance(image, str):
        raise Refused(400, "image must be a string")
    try:
        ImageName.parse(image)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    return image


def version_of(request: Request) -> int | None:
    """Return the number of the version to roll back to; None for the version before.  Raises ``Refused``."""
    number = _body(request, ("version",)).get("version")
    if number is None:
        return None
    # True and False are numbers too, to Python; 3.0 is a whole number, to JSON Schema.
    if type(number) in (int, float) and 0 <= number <= MOST_NUMBER and number == int(number):
        return int(number)
    raise Refused(400, "version must be the number of a version")


def reason_of(request: Request, reason: str) -> str:
    """Return the reason of a handover with the program that has asked for it, if that is the page in the browser."""
    agent = request.getHeader(b"user-agent") or b""
    return f"{reason}, on the page" if agent.startswith(PAGE_AGENT) else reason


def log_query(request: Request) -> LogQuery:
    """Return which entries of the log are asked for.  Raises ``Refused``."""
    source, log_format = _text(request, "source") or "", _text(request, "format", TEXT)
    if source not in ("", APP, DAEMON):
        raise Refused(400, f"source must be {APP} or {DAEMON}")
    if log_format not in (TEXT, JSON):
        raise Refused(400, f"format must be {TEXT} or {JSON}")
    return LogQuery(
        tail=_number(request, "tail"),
        follow=_flag(request, "follow"),
        source=source,
        since=_number(request, "since") or 0,
        timestamps=_flag(request, "timestamps"),
        json=log_format == JSON,
    )


def history_query(request: Request) -> HistoryQuery:
    """Return which handovers are asked for.  Raises ``Refused``."""
    limit, since = _number(request, "limit"), _text(request, "since")
    if limit is not None and not 0 < limit <= MOST_HANDOVERS:
        raise Refused(400, f"limit must be a number from 1 to {MOST_HANDOVERS}")
    try:
        moment = Moment() if since is None else parse_moment(since)
    except ValueError as error:
        raise Refused(400, f"since: {error}") from None
    return HistoryQuery(DEFAULT_LIMIT if limit is None else limit, moment.unix(time.time()))


@dataclass(frozen=True)
class EventQuery:
    """Which events are asked for: after an ID, since a Unix time, or from now on (None); with ``output`` what versions print,
    too.
    """

    since: EventID | float | None = None
    output: bool = False


def event_query(request: Request) -> EventQuery:
    """Return which events are asked for.  Raises ``Refused``.

    The header ``Last-Event-ID`` goes before the parameter ``since``: a client that connects again sends both.
    """
    # As bytes: asked for by a text, a header that is not UTF-8 raises an error.
    header = request.getHeader(b"last-event-id") or b""
    last = _since(header.decode("utf-8", "replace")) if header else None
    text = _text(request, "since")
    # Also what is not used must be right.
    since = None if text is None else _since(text)
    return EventQuery(since if last is None else last, output=_flag(request, "output"))


def _since(text: str) -> EventID | float:
    seconds = parse_decimal(text)
    try:
        return EventID.parse(text) if seconds is None else float(seconds)
    except ValueError:
        raise Refused(400, "since must be the ID of an event, or a Unix time") from None


def _body(request: Request, known: Collection[str]) -> Mapping[str, Any]:
    """Return the JSON object in the body; a missing body is an empty object."""
    content = request.content.read() if request.content else b""
    try:
        parsed = json.loads(content or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(400, "the request body is not valid JSON") from None
    if not isinstance(parsed, dict):
        raise Refused(400, "the request body is not a JSON object")
    for key in parsed:
        if key not in known:
            # A misspelled key must not start something else than was meant.
            raise Refused(400, f"unknown key {quoted(key[:100])} in the request body: known is {', '.join(known)}")
    return parsed


def _seconds(body: Mapping[str, Any], name: str) -> float | None:
    seconds = body.get(name)
    if seconds is None:
        return None
    if type(seconds) not in (int, float) or not 0 < seconds <= MOST_SECONDS:
        raise Refused(400, f"{name} must be a number of seconds, more than 0")
    return float(seconds)


def _no_constant(name: str) -> NoReturn:
    # NaN and Infinity, which JSON does not have (RFC 8259, section 6).
    raise ValueError(name)


def _number(request: Request, name: str) -> int | None:
    text = _text(request, name)
    if text is None:
        return None
    number = parse_decimal(text)
    if number is None or number > MOST:
        raise Refused(400, f"{name} must be a number")
    return number


def _flag(request: Request, name: str) -> bool:
    text = _text(request, name, "0")
    if text not in ("0", "1"):
        raise Refused(400, f"{name} must be 0 or 1")
    return text == "1"


def _text(request: Request, name: str, default: str | None = None) -> str | None:
    values: list[bytes] = (request.args or {}).get(name.encode(), [])
    if len(values) > 1:
        raise Refused(400, f"{name} is there {len(values)} times: once is enough")
    return values[0].decode(errors="replace") if values else default
