"""The events of builds, pulls, pushes and loads."""

from __future__ import annotations

from typing import Any

import pytest

from hanoverd.docker.event_stream import EventStream
from hanoverd.text.lines import LONGEST_LINE


def lines_of(*events: dict[str, Any]) -> list[str]:
    """The lines of a stream with these events."""
    lines: list[str] = []
    stream = EventStream(lines.append)
    for event in events:
        stream.take(event)
    stream.finish()
    return lines


@pytest.mark.parametrize(
    ("event", "lines"),
    [
        ({"stream": "Step 1/2 : FROM base\n"}, ["Step 1/2 : FROM base"]),
        ({"stream": "one\n\n two\n"}, ["one", " two"]),
        ({"stream": "\n"}, []),
        ({"status": "Pulling from library/base", "id": "v1"}, ["v1: Pulling from library/base"]),
        ({"id": "a1b2", "status": "Downloading", "progress": "[=>  ] 1kB/9kB"}, ["a1b2: Downloading [=>  ] 1kB/9kB"]),
        ({"status": "Digest: sha256:12ab"}, ["Digest: sha256:12ab"]),
        ({"aux": {"ID": "sha256:12ab"}}, []),
        ({"progressDetail": {}}, []),
    ],
)
def test_the_lines_are_those_of_dockers_client(event: dict[str, Any], lines: list[str]) -> None:
    assert lines_of(event) == lines


def test_lines_are_passed_on_in_order_and_the_last_error_is_kept() -> None:
    lines: list[str] = []
    stream = EventStream(lines.append)
    for event in ({"stream": "one\n"}, {"error": "first", "errorDetail": {}}, {"status": "two"}, {"error": " last\n"}):
        stream.take(event)
    assert (lines, stream.error) == (["one", "two"], "last")


def test_a_line_may_come_in_several_events() -> None:
    assert lines_of({"stream": "Step 1"}, {"stream": "/2\nno "}, {"stream": "end"}) == ["Step 1/2", "no end"]
    assert lines_of({"stream": "no end"}, {"status": "Pulling"}) == ["no end", "Pulling"]


def test_a_line_ends_at_a_newline_or_a_carriage_return_and_nowhere_else() -> None:
    assert lines_of({"stream": "10%\r20%\r\none\v\x85\u2028line\n"}) == ["10%", "20%", "one\v\x85\u2028line"]


def test_output_without_newlines_comes_in_parts() -> None:
    lines = lines_of(*({"stream": "x" * 1000} for _ in range(40)))
    assert [len(line) for line in lines] == [LONGEST_LINE, LONGEST_LINE, 40_000 - 2 * LONGEST_LINE]
    assert len(lines_of({"id": "a", "status": "x" * 40_000})) == 3


def test_a_long_error_is_cut() -> None:
    stream = EventStream(print)
    stream.take({"error": "x" * 1_000_000})
    assert stream.error == "x" * LONGEST_LINE + "…"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"errorDetail": {"message": "no"}, "error": "no"}, "no"),
        # The field "error" is deprecated.
        ({"errorDetail": {"code": 1, "message": "no"}}, "no"),
        ({"error": " a\x1b[2J\n14:03:21 web-3: live\n"}, "a\\x1b[2J\\n14:03:21 web-3: live"),
        ({"error": "x" * 10_000_000}, "x" * LONGEST_LINE + "…"),
        ({"errorDetail": "no"}, None),
        ({"errorDetail": {}}, None),
    ],
)
def test_errors_are_cut_and_escaped(event: dict[str, Any], error: str | None) -> None:
    stream = EventStream(lambda line: None)
    stream.take(event)
    assert stream.error == error
