"""Downloads from real servers that misbehave, and from files that are none."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_location import ArchiveLocation
from hanoverd.images.downloads import opened, version_of
from hanoverd.images.web_download import short_version
from hanoverd.runtime.errors import EngineUnreachable, ObtainFailed
from tests.lab.certificates import write_certificates
from tests.unit.images.archives import MIB
from tests.unit.images.servers import OK, Script, redirects, says, says_forever, server, trickles


def get(url: str, abort: Abort | None = None) -> bytes:
    """Download everything."""
    pieces = []
    abort = abort or Abort()
    try:
        with opened(ArchiveLocation.parse(url, Path("/")), abort) as download:
            while piece := download.stream.read(65536):
                pieces.append(piece)
    finally:
        abort.forget()
    return b"".join(pieces)


def version(url: str) -> str | None:
    """Ask for the version."""
    abort = Abort()
    try:
        return version_of(ArchiveLocation.parse(url, Path("/")), abort)
    finally:
        abort.forget()


def failure(url: str) -> str:
    """Return the message with which a download fails."""
    with pytest.raises(ObtainFailed) as raised:
        get(url)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return str(raised.value)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[ssl.SSLContext]:
    """A certificate that clients trust."""
    folder = tmp_path / "tls"
    write_certificates(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server-cert.pem", folder / "server-key.pem")
    with mock.patch.dict("os.environ", SSL_CERT_FILE=str(folder / "ca.pem")):
        yield context


# -- redirects and logins


def test_a_redirect_is_followed() -> None:
    with server(says(OK, b"\r\ncontent")) as (far, _), server(redirects(f"http://{far}/b?c=é d")) as (near, _):
        assert get(f"http://{near}/a") == b"content"


def test_a_redirect_is_relative_to_the_url() -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        is_first = request.startswith(b"GET /a/b ")
        connection.sendall(b"HTTP/1.1 307 X\r\nLocation: ../c\r\n\r\n" if is_first else OK + b"\r\nc")

    with server(script) as (address, requests):
        assert get(f"http://{address}/a/b") == b"c"
        assert requests[1].startswith(b"GET /c HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "an invalid location"),
        ("file://localhost/etc/passwd", "a location that is not on a web server"),
        ("ftp://127.0.0.1/x", "a location that is not on a web server"),
        ("data:text/plain,x", "an invalid location"),
        ("http://[", "an invalid location"),
        ("http://me:pass@127.0.0.1/", "an invalid location"),
        ("http://127.0.0.1:x/", "an invalid location"),
        ("http://127.0.0.1:0/", "an invalid location"),
    ],
)
def test_a_redirect_to_elsewhere_is_refused(target: str, message: str) -> None:
    with server(redirects(target)) as (address, _):
        assert f"the server redirects to {message}" in failure(f"http://{address}/a?sig=secret")


def test_a_redirect_from_https_to_http_is_refused(tls: ssl.SSLContext) -> None:
    with server(says(OK, b"\r\ncontent")) as (plain, requests), server(redirects(f"http://{plain}/"), tls) as (near, _):
        assert "redirects to HTTP, which is not encrypted" in failure(f"https://{near}/a")
        assert requests == []
        with server(redirects(f"https://{near}/a")) as (start, _):
            assert "redirects to HTTP, which is not encrypted" in failure(f"http://{start}/a")
    with server(says(OK, b"\r\ncontent"), tls) as (far, _), server(redirects(f"https://{far}/")) as (near, _):
        assert get(f"http://{near}/a") == b"content"


def test_redirects_without_end_are_given_up() -> None:
    with server(redirects("/a")) as (address, requests):
        assert "more than 5 redirects follow each other" in failure(f"http://{address}/a")
        assert len(requests) == 6


def test_a_login_is_sent_to_its_own_host_only() -> None:
    def near_script(connection: socket.socket, request: bytes) -> None:
        target = b"/second" if request.startswith(b"GET /first ") else f"http://{far}/third".encode()
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: " + target + b"\r\n\r\n")

    with server(says(OK, b"\r\n")) as (far, theirs), server(near_script) as (near, ours):
        get(f"http://me:pass%2Fword@{near}/first")
    login = b"Authorization: Basic " + base64.b64encode(b"me:pass/word")
    assert [login in request for request in ours] == [True, True]
    assert [b"Authorization" in request for request in theirs] == [False]


def test_the_body_of_a_redirect_is_not_read() -> None:
    start = b"HTTP/1.1 302 Found\r\nLocation: http://%s/\r\n\r\n"
    with (
        server(says(OK, b"\r\nc")) as (far, _),
        server(says_forever(start % far.encode(), b"x" * 65536)) as (near, _),
    ):
        tracemalloc.start()
        assert get(f"http://{near}/a") == b"c"
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < 2 * MIB


# -- answers that are too long, too short, or none


@pytest.mark.parametrize(
    "script",
    [
        says_forever(OK, b"X: y\r\n"),
        says_forever(OK + b"X: ", b"y" * 65536),
        says_forever(b"HTTP/1.1 200 ", b"y" * 65536),
        says_forever(b"", b"y" * 65536),
        says(),
        says(b"\0\1\2"),
        says(b"SSH-2.0-OpenSSH_9.2\r\n"),
        says(OK, b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"),
        says(OK, b"Transfer-Encoding: chunked\r\n\r\n", b"5\r\nabc"),
        says(OK, b"Transfer-Encoding: chunked\r\n\r\n", b"-5\r\nabcde\r\n0\r\n\r\n"),
        says_forever(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1" * 65536),
    ],
)
def test_what_is_not_http_fails_soon(script: Script) -> None:
    tracemalloc.start()
    with server(script) as (address, _):
        assert "cannot get the archive" in failure(f"http://{address}/a")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * MIB


def test_an_answer_that_is_shorter_than_it_says_fails() -> None:
    with server(says(OK, b"Content-Length: 3000\r\n\r\n", b"x" * 1000)) as (address, _):
        assert "the server stopped after 1000B of 2.9KiB" in failure(f"http://{address}/a")


def test_an_answer_that_is_longer_than_it_says_is_cut() -> None:
    with server(says(OK, b"Content-Length: 3\r\n\r\nabcdef")) as (address, _):
        assert get(f"http://{address}/a") == b"abc"


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e9"])
def test_an_invalid_length_is_ignored(length: bytes) -> None:
    with server(says(OK, b"Content-Length: ", length, b"\r\n\r\nabc")) as (address, _):
        assert get(f"http://{address}/a") == b"abc"


def test_an_encoding_is_not_decoded() -> None:
    with server(says(OK, b"Content-Encoding: gzip\r\n\r\nnot gzip")) as (address, requests):
        assert get(f"http://{address}/a") == b"not gzip"
        assert b"Accept-Encoding: identity" in requests[0]


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (OK + b"X-", b"x"),
        (b"", b""),
        (OK + b"\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    ],
)
@pytest.mark.parametrize("has_tls", [False, True])
def test_an_abort_ends_a_download_at_any_time(tls: ssl.SSLContext, start: bytes, piece: bytes, has_tls: bool) -> None:
    begun = threading.Event()

    def script(connection: socket.socket, request: bytes) -> None:
        begun.set()
        trickles(start, piece)(connection, request)

    aborted_within(script, tls if has_tls else None, begun)


def test_an_abort_ends_the_wait_for_tls() -> None:
    # The server never answers the client's greeting.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        begun = threading.Event()

        def accept() -> None:
            with listening.accept()[0] as connection:
                connection.recv(10)
                begun.set()
                connection.settimeout(20)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=accept)
        thread.start()
        assert_aborted(f"https://127.0.0.1:{listening.getsockname()[1]}/a", begun)
        thread.join()


def aborted_within(script: Script, context: ssl.SSLContext | None, begun: threading.Event) -> None:
    with server(script, context) as (address, _):
        assert_aborted(f"{'https' if context else 'http'}://{address}/a", begun)


def assert_aborted(url: str, begun: threading.Event) -> None:
    """Download, abort it once it has begun, and check that it ends at once."""
    abort = Abort()

    def request() -> None:
        begun.wait(20)
        time.sleep(0.1)
        moments.append(time.monotonic())
        abort.request()

    moments: list[float] = []
    thread = threading.Thread(target=request)
    thread.start()
    with pytest.raises(EngineUnreachable, match="aborted"):
        get(url, abort)
    assert time.monotonic() - moments[0] < 15
    thread.join()
    abort.forget()


# -- messages and versions


@pytest.mark.parametrize(
    "script",
    [
        lambda connection, request: connection.sendall(request),
        lambda connection, request: connection.sendall(b"HTTP/1.1 500 " + request),
        lambda connection, request: connection.sendall(b"HTTP/1.1 302 X\r\nLocation: ftp://h" + request),
        lambda connection, request: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
        lambda connection, request: connection.sendall(b"HTTP/1.1 403 \x1b[2J\r\n\r\n"),
    ],
)
def test_no_message_has_a_secret_or_what_the_server_sent(script: Script) -> None:
    with server(script) as (address, _):
        message = failure(f"http://me:secret@{address}/a?X-Amz-Signature=secret")
    assert "secret" not in message
    assert base64.b64encode(b"me:secret").decode() not in message
    assert message.isprintable()
    assert len(message) < 200


def test_an_error_names_the_status() -> None:
    with server(says(b"HTTP/1.1 404 All fine\r\n\r\n")) as (address, _):
        assert failure(f"http://{address}/a").endswith("HTTP status 404 Not Found")
    with server(says(b"HTTP/1.1 799 All fine\r\n\r\n")) as (address, _):
        assert failure(f"http://{address}/a").endswith("HTTP status 799")


@pytest.mark.parametrize("status", [403, 405, 501])
def test_a_server_that_refuses_head_has_no_version(status: int) -> None:
    with server(says(f"HTTP/1.1 {status} X\r\n\r\n".encode())) as (address, requests):
        assert version(f"http://{address}/a") is None
    assert requests[0].startswith(b"HEAD /a ")


def test_a_version_is_short_and_printable() -> None:
    assert short_version('"abc-1"') == '"abc-1"'
    assert short_version(None) is None
    assert short_version("") is None
    for text in ("x" * 129, "a\x1b[2J", "é", "\udc80"):
        found = short_version(text)
        assert found is not None
        assert found.startswith("sha256:")
        assert found == short_version(text) != short_version(f"{text}.")


def test_the_version_is_the_etag_or_the_time() -> None:
    for headers, expected in (
        (b'ETag: "1"\r\nLast-Modified: x\r\n', '"1"'),
        (b"Last-Modified: x\r\n", "x"),
        (b"", None),
    ):
        with server(says(OK, headers, b"\r\n")) as (address, _):
            url = f"http://{address}/a"
            assert version(url) == expected
            abort = Abort()
            with opened(ArchiveLocation.parse(url, Path("/")), abort) as download:
                assert download.version == expected
            abort.forget()


# -- files


def test_what_is_not_a_regular_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", tmp_path / "zero", Path("/dev/null"), tmp_path):
        assert "it is not a regular file" in failure(str(path))
    assert "No such file" in failure(str(tmp_path / "missing"))


def test_a_file_is_read_with_its_length_and_its_version(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    location = ArchiveLocation.parse("a", tmp_path)
    with opened(location, Abort()) as download:
        assert (download.length, download.version) == (7, version_of(location, Abort()))
    assert get(str(tmp_path / "a")) == b"content"
    assert version_of(ArchiveLocation.parse("missing", tmp_path), Abort()) is None
