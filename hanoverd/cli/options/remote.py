"""The options of the commands for a running daemon."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, MOMENT, NOT, POSITIVE_DURATION, TAIL, plain
from hanoverd.history.record import DEFAULT_LIMIT, MOST_HANDOVERS
from hanoverd.spec.event_id import EventID
from hanoverd.spec.image_name import ImageName
from hanoverd.text.decimal import parse_decimal
from hanoverd.text.moments import Moment, parse_moment


def _parse_image(text: str) -> str:
    ImageName.parse(text)
    return text


def _parse_format(text: str) -> bool:
    if text not in ("table", "json"):
        raise ValueError("it must be table or json")
    return text == "json"


def _parse_limit(text: str) -> int:
    limit = parse_decimal(text)
    if limit is None or not 0 < limit <= MOST_HANDOVERS:
        raise ValueError(f"it must be a number from 1 to {MOST_HANDOVERS}")
    return limit


def _parse_lines_format(text: str) -> bool:
    if text not in ("text", "json"):
        raise ValueError("it must be text or json")
    return text == "json"


def _parse_position(text: str) -> EventID | Moment:
    try:
        return parse_moment(text)
    except ValueError:
        if "-" not in text.removeprefix("-"):
            raise
    return EventID.parse(text)


DIFF_FORMAT = Option(
    name="format",
    metavar="text|json",
    default="text",
    help="Format of the output; json prints one object a line",
    value=plain(_parse_lines_format),
)
NO_TRUNC = Option(
    name="no-trunc",
    kind=Kind.BOOLEAN,
    help="Do not truncate IDs and reasons",
    value=NOT,
    place="trunc",
)
FORMAT = Option(
    name="format",
    metavar="table|json",
    default="table",
    help="Format of the output; json prints one object a line",
    value=plain(_parse_format),
    place="json",
)
QUIET = Option(name="quiet", letter="q", kind=Kind.BOOLEAN, help="Show only the names", value=BOOLEAN, place="quiet")
JSON = Option(
    name="json",
    kind=Kind.BOOLEAN,
    help="Print the whole status as JSON",
    value=BOOLEAN,
    place="json",
)
WATCH = Option(
    name="watch",
    letter="w",
    kind=Kind.BOOLEAN,
    help="Show each change until interrupted; with --json, one line a change",
    value=BOOLEAN,
    place="watch",
)
WAIT = Option(
    name="wait",
    kind=Kind.BOOLEAN,
    help="Follow the handover until it finishes; exit 1 unless it succeeds",
    value=BOOLEAN,
    place="wait",
)
IMAGE = Option(
    name="image",
    metavar="IMAGE",
    help="Image for this handover, instead of what the app's source has",
    value=plain(_parse_image, is_late=True),
    place="image",
)
IF_CHANGED = Option(
    name="if-changed",
    kind=Kind.BOOLEAN,
    help="Do nothing if the live version has the same image and settings",
    text="""\
The image is obtained first. If the live version has the same image ID and settings, and is ready, the
outcome of the handover is ``unchanged``, and the exit status of ``--wait`` is 0.""",
    value=BOOLEAN,
    place="if_changed",
)
STATUS_TIMEOUT = Option(
    name="status-timeout",
    metavar="DURATION",
    help="Maximum time until the version of this handover is ready",
    text="Instead of the app's own ``--status-timeout``, for this handover only.",
    value=POSITIVE_DURATION,
    place="status_timeout",
)
FOLLOW = Option(
    name="follow", letter="f", kind=Kind.BOOLEAN, help="Follow the log until interrupted", value=BOOLEAN, place="follow"
)
APP = Option(name="app", kind=Kind.BOOLEAN, help="Show only the output of the app's versions", value=BOOLEAN)
DAEMON = Option(name="daemon", kind=Kind.BOOLEAN, help="Show only the log of hanoverd", value=BOOLEAN)
TIMESTAMPS = Option(
    name="timestamps",
    letter="t",
    kind=Kind.BOOLEAN,
    help="Show the time of each entry",
    value=BOOLEAN,
    place="timestamps",
)
SINCE = Option(
    name="since",
    metavar="TIME",
    help="Show only what was later than TIME: 10m ago, or a date",
    text="""\
TIME is a duration before now, such as ``10m`` or ``24h``, or a date, such as ``2026-11-28``, ``2026-11-28T09:30``
or ``2026-11-28T09:30:00+01:00`` (RFC 3339; without a zone, it is the local time), or a Unix time.""",
    value=MOMENT,
    place="since",
)
LIMIT = Option(
    name="limit",
    metavar="N",
    default=str(DEFAULT_LIMIT),
    help=f"Number of handovers to show, the newest ones; at most {MOST_HANDOVERS}",
    value=plain(_parse_limit),
    place="limit",
)
JSON_LINES = Option(
    name="json",
    kind=Kind.BOOLEAN,
    help="Print one JSON object per line, as --log-format json does",
    value=BOOLEAN,
    place="json",
)
EVENTS_FORMAT = Option(
    name="format",
    metavar="text|json",
    default="text",
    help="Format of the output; json prints one object a line",
    value=plain(_parse_lines_format),
    place="json",
)
EVENTS_SINCE = Option(
    name="since",
    metavar="ID|TIME",
    help="Start after the event of this ID, or at TIME: 10m ago, or a date",
    text="""\
TIME is as for ``hanoverd logs``. Without it, only events from now on are shown. ``--format json`` shows the IDs. Of an ID of an earlier run of hanoverd, all that
the running one keeps is shown, after an event ``missed``.""",
    value=plain(_parse_position),
)
EVENTS_OUTPUT = Option(
    name="output",
    kind=Kind.BOOLEAN,
    help="Show what the app's versions print, too",
    value=BOOLEAN,
    place="output",
)
TAIL_ENTRIES = Option(
    name="tail",
    letter="n",
    metavar="N",
    default="all",
    help="Number of entries to show from the end of the log",
    value=TAIL,
    place="tail",
)
