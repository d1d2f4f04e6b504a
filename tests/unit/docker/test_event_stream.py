"""The events of builds, pulls, pushes and loads."""

from __future__ import annotations

from typing import Any

import pytest

from hanoverd.docker.event_stream import EventStream, output_lines


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
    assert output_lines(event) == lines


def test_lines_are_passed_on_in_order_and_the_last_error_is_kept() -> None:
    lines: list[str] = []
    stream = EventStream(lines.append)
    for event in ({"stream": "one\n"}, {"error": "first", "errorDetail": {}}, {"status": "two"}, {"error": " last\n"}):
        stream.take(event)
    assert (lines, stream.error) == (["one", "two"], "last")
