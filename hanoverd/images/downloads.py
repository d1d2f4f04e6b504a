"""Downloads, read as a stream: from files, HTTPS and S3 (with boto3: the only module that imports it).

All functions block: they run in the thread that sends the bytes to the engine.
"""

from __future__ import annotations

import base64
import http.client
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote, urlsplit

from hanoverd.docker.abort import Abort
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.extras import Extra

#: The time limits for a connection and for each read, in seconds.
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60


@dataclass(frozen=True)
class Download:
    """A stream of bytes, and its version, if it has one: an ETag, or a file's time and size."""

    stream: IO[bytes]
    version: str | None


@contextmanager
def opened(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    """Open the download at ``location``: a path, ``https://…`` or ``s3://BUCKET/KEY``; messages call it ``shown``.

    Raises ``ObtainFailed`` if it cannot be opened. Reading fails with ``OSError``, at once when ``abort`` is requested.
    """
    scheme = urlsplit(location).scheme
    open_download = {"https": _http, "http": _http, "s3": _s3}.get(scheme, _file)
    with open_download(location, shown, abort) as download:
        yield download


class _HeadRefused(ObtainFailed):
    """The server does not allow the method HEAD."""


def version_of(location: str, shown: str) -> str | None:
    """Return the version of the download at ``location`` without downloading it; None if it has no version."""
    scheme = urlsplit(location).scheme
    if scheme == "s3":
        with _errors_reported(shown):
            return cast("str", _client().head_object(**_bucket_and_key(location))["ETag"])
    if scheme in ("https", "http"):
        try:
            with (
                _errors_reported(shown),
                _ask(_request(location, "HEAD"), CONNECT_TIMEOUT) as answer,
            ):
                return _version(answer)
        except _HeadRefused:
            # Signed URLs and some servers allow only GET.
            return None
    try:
        return _version_of_file(Path(location).stat())
    except OSError:
        return None


def _version(answer: http.client.HTTPResponse) -> str | None:
    return answer.headers.get("ETag") or answer.headers.get("Last-Modified")


def _version_of_file(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"


@contextmanager
def _file(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    del abort  # Reading a file does not block for long.
    try:
        stream = Path(location).open("rb")  # noqa: SIM115  # it is closed below
    except OSError as error:
        raise ObtainFailed(f"cannot read the archive {shown}: {error.strerror}") from None
    with stream:
        yield Download(stream, _version_of_file(os.fstat(stream.fileno())))


@contextmanager
def _http(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    with _errors_reported(shown):
        answer = _ask(_request(location, "GET"), READ_TIMEOUT)
    with answer:
        _watch(abort, getattr(getattr(answer.fp, "raw", None), "_sock", None))
        yield Download(answer, _version(answer))


@contextmanager
def _s3(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    with _errors_reported(shown):
        found = _client().get_object(**_bucket_and_key(location))
    body = found["Body"]
    try:
        _watch(abort, getattr(getattr(body._raw_stream, "_connection", None), "sock", None))  # noqa: SLF001  # to abort
        yield Download(body, found["ETag"])
    finally:
        body.close()


def _watch(abort: Abort, sock: socket.socket | None) -> None:
    """Make ``abort`` wake the reader of ``sock``; with an own descriptor, because the library closes the original."""
    if sock is not None:
        abort.watch(socket.socket(fileno=os.dup(sock.fileno())))


def _ask(request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
    # Not urlopen: since Python 3.12 it keeps the trusted certificates that it loaded first for the life of the process.
    answer: http.client.HTTPResponse = urllib.request.build_opener().open(request, timeout=seconds)
    return answer


def _request(location: str, method: str) -> urllib.request.Request:
    url = urlsplit(location)
    host = url.netloc.rpartition("@")[2]
    request = urllib.request.Request(url._replace(netloc=host, fragment="").geturl(), method=method)  # noqa: S310  # its scheme was checked
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        # Unredirected: another host must not get the login.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    return request


def _client() -> Any:
    Extra.S3.check()
    # Late: it takes time and memory.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        config=Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 2}),
    )


def _bucket_and_key(location: str) -> dict[str, str]:
    url = urlsplit(location, allow_fragments=False)
    return {"Bucket": url.netloc, "Key": url.path.removeprefix("/") + (f"?{url.query}" if url.query else "")}


@contextmanager
def _errors_reported(shown: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        kind = _HeadRefused if error.code in (403, 405, 501) else ObtainFailed
        raise kind(f"cannot get the archive {shown}: HTTP status {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ObtainFailed(f"cannot get the archive {shown}: {error}") from None
    except Exception as error:
        # boto3's BotoCoreError and ClientError exist only where it is installed.
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore"):
            raise
        raise ObtainFailed(
            f"cannot get the archive {shown}: {error}. Credentials come from the environment, ~/.aws or the machine's "
            "role, as for other AWS tools"
        ) from None
