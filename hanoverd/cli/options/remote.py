"""The options of the commands for a running daemon."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, DURATION, NOT, POSITIVE_DURATION, TAIL, plain
from hanoverd.spec.event_id import EventID
from hanoverd.spec.image_name import ImageName
from hanoverd.text.durations import parse_duration


def _parse_image(text: str) -> str:
    ImageName.parse(text)
    return text


def _parse_format(text: str) -> bool:
    if text not in ("table", "json"):
        raise ValueError("it must be table or json")
    return text == "json"


def _parse_lines_format(text: str) -> bool:
    if text not in ("text", "json"):
        raise ValueError("it must be text or json")
    return text == "json"


def _parse_position(text: str) -> EventID | float:
    if "-" in text.removeprefix("-"):
        return EventID.parse(text)
    return parse_duration(text)


def _check_position(position: EventID | float) -> None:
    if not isinstance(position, EventID) and position < 0:
        raise ValueError("cannot be negative")


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
    metavar="DURATION",
    help="Show the entries of the last DURATION, such as 10m",
    value=DURATION,
    place="since",
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
    metavar="ID|DURATION",
    help="Start after the event of this ID, or so long ago, such as 10m",
    text="""\
Without it, only events from now on are shown. ``--format json`` shows the IDs. Of an ID of an earlier run of hanoverd, all that
the running one keeps is shown, after an event ``missed``.""",
    value=replace(plain(_parse_position), check=_check_position),
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
