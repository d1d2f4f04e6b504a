"""The engine's streams of output and of events."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.docker.streams import LONGEST_EVENT, PIECE, events, frames
from hanoverd.runtime.errors import EngineError


def frame(data: bytes, length: int | None = None) -> bytes:
    """A frame of standard output, whose header may lie."""
    return b"\x01\0\0\0" + (len(data) if length is None else length).to_bytes(4) + data


def test_the_output_is_what_the_frames_have() -> None:
    stream = io.BytesIO(frame(b"one\n") + frame(b"") + b"\x02\0\0\0\0\0\0\x02no" + frame(b"x" * 100_000))
    assert b"".join(frames(stream.read)) == b"one\nno" + b"x" * 100_000


def test_a_frame_that_claims_4_gib_is_read_in_pieces() -> None:
    asked: list[int] = []
    stream = io.BytesIO(frame(b"x" * 200_000, 2**32 - 1))

    def read(count: int) -> bytes:
        asked.append(count)
        return stream.read(count)

    assert b"".join(frames(read)) == b"x" * 200_000
    assert max(asked) == PIECE


@pytest.mark.parametrize("left", range(9))
def test_a_stream_may_end_anywhere(left: int) -> None:
    assert list(frames(io.BytesIO(frame(b"a") + frame(b"b")[:left]).read)) == [b"a"]


@given(
    st.lists(st.dictionaries(st.text(), st.text() | st.integers())),
    st.sampled_from(["\n", "\r\n", ""]),
    st.integers(1, 50),
)
def test_events_do_not_depend_on_how_the_stream_is_cut(sent: list[dict[str, object]], end: str, size: int) -> None:
    raw = "".join(json.dumps(event) + end for event in sent).encode()
    assert list(events(raw[at : at + size] for at in range(0, len(raw), size))) == sent


def endless(piece: bytes) -> Iterator[bytes]:
    """A stream that says the same again and again; 1 GiB of it is too much."""
    for _ in range(2**30 // len(piece)):
        yield piece
    raise AssertionError("all of it was read")


@pytest.mark.parametrize("piece", [b'{"stream": "' + b"x" * 1000, b"x" * 65536, b"1"])
def test_an_event_without_end_is_refused_soon(piece: bytes) -> None:
    begun = time.process_time()
    with pytest.raises(EngineError, match="an event of more than 1024 KiB"):
        list(events(endless(piece)))
    assert time.process_time() - begun < 3


def test_a_long_line_in_one_piece_is_refused_too() -> None:
    with pytest.raises(EngineError, match="an event of more than 1024 KiB"):
        list(events([b'"' + b"x" * LONGEST_EVENT + b'"\n']))


@pytest.mark.parametrize("line", [b"no\n", b"{", b"[" * 100_000, b'{"a": 1} no\n'])
def test_what_is_not_json_is_refused(line: bytes) -> None:
    with pytest.raises(EngineError, match="an event that is not JSON"):
        list(events([line]))


def test_what_is_no_object_is_left_out() -> None:
    assert list(events([b'null\n[]\n"a"\n{"status": "b"}\n'])) == [{"status": "b"}]
