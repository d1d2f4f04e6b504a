"""The message of a failed build has none of the values of its build arguments, however the engine answers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import urllib3

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import BuildRequest
from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.docker.failures import connection_failure
from hanoverd.runtime.errors import EngineError

Answers = Callable[[bytes], EngineAddress]


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    """Return the address of an engine that gives one answer to all requests."""
    listener = socket.socket(socket.AF_UNIX)
    threads: list[threading.Thread] = []

    def serve(answer: bytes) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    request = b""
                    while not request.endswith(b"0\r\n\r\n") and (piece := connection.recv(65536)):
                        request += piece
                    connection.sendall(answer)

    def start(answer: bytes) -> EngineAddress:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        threads.append(threading.Thread(target=serve, args=(answer,)))
        threads[0].start()
        return EngineAddress(f"unix://{tmp_path}/s", None, "the test")

    yield start
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    threads[0].join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{no}}",
        b"no HTTP\r\n\r\n",
        b"",
    ],
)
def test_no_answer_makes_a_message_with_a_build_argument(answers: Answers, answer: bytes) -> None:
    engine = BlockingEngine(answers(answer), "1.41", Abort())
    with pytest.raises(EngineError) as caught:
        engine.build(iter([b"tar"]), BuildRequest("app", args={"TOKEN": "secret"}), lambda _: None)
    assert "secret" not in str(caught.value)
    assert "buildargs" not in str(caught.value)


def test_an_answer_without_a_text_is_reported_by_its_status(answers: Answers) -> None:
    engine = BlockingEngine(
        answers(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"), "1.41", Abort()
    )
    with pytest.raises(EngineError, match="cannot build the image: the engine says: 500 Internal Server Error"):
        engine.build(iter([b"tar"]), BuildRequest("app"), lambda _: None)


def test_a_timeout_makes_no_message_with_a_build_argument() -> None:
    pool = urllib3.HTTPConnectionPool("engine.example")
    error = urllib3.exceptions.MaxRetryError(
        pool, "/v1.41/build?buildargs=%7B%22TOKEN%22%3A+%22secret%22%7D", TimeoutError("timed out")
    )
    address = EngineAddress("tcp://engine.example:2375", None, "the test")
    message = str(connection_failure("cannot build", address, requests.ConnectTimeout(error)))
    assert "Max retries exceeded with url: /v1.41/build?…" in message
    assert "secret" not in message
