"""Bytes from afar, as they come: files, HTTPS and S3 (with boto3: the one module that imports it).

All of this blocks: it is read in the thread that hands the bytes to the engine.
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

#: How long to wait for a connection, and for each piece, in seconds.
CONNECT_WITHIN, PIECE_WITHIN = 10, 60


@dataclass(frozen=True)
class Download:
    """Bytes to read, and what tells this version of them from another, where anything does."""

    stream: IO[bytes]
    version: str | None


@contextmanager
def opened(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    """The bytes at ``location``: a path, ``https://…`` or ``s3://BUCKET/KEY``; ``shown`` is how messages call it.

    Raises ``ObtainFailed`` where it cannot be opened; reading fails with ``OSError``, at once when ``abort`` is
    requested.
    """
    scheme = urlsplit(location).scheme
    opening = {"https": _http, "http": _http, "s3": _s3}.get(scheme, _file)
    with opening(location, shown, abort) as download:
        yield download


class _HeadRefused(ObtainFailed):
    """The server answers, but not to this method."""


def version_of(location: str, shown: str) -> str | None:
    """What tells this version of the bytes at ``location`` from another, cheaply; None where nothing does."""
    scheme = urlsplit(location).scheme
    if scheme == "s3":
        with _explained(shown):
            return cast("str", _client().head_object(**_bucket_and_key(location))["ETag"])
    if scheme in ("https", "http"):
        try:
            with (
                _explained(shown),
                _ask(_request(location, "HEAD"), CONNECT_WITHIN) as answer,
            ):
                return _version(answer)
        except _HeadRefused:
            # Signed URLs, and some servers, allow nothing but GET.
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
    del abort  # A file does not keep one waiting.
    try:
        stream = Path(location).open("rb")  # noqa: SIM115  # it is closed below
    except OSError as error:
        raise ObtainFailed(f"cannot read the archive {shown}: {error.strerror}") from None
    with stream:
        yield Download(stream, _version_of_file(os.fstat(stream.fileno())))


@contextmanager
def _http(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    with _explained(shown):
        answer = _ask(_request(location, "GET"), PIECE_WITHIN)
    with answer:
        _watch(abort, getattr(getattr(answer.fp, "raw", None), "_sock", None))
        yield Download(answer, _version(answer))


@contextmanager
def _s3(location: str, shown: str, abort: Abort) -> Iterator[Download]:
    with _explained(shown):
        found = _client().get_object(**_bucket_and_key(location))
    body = found["Body"]
    try:
        _watch(abort, getattr(getattr(body._raw_stream, "_connection", None), "sock", None))  # noqa: SLF001  # to abort
        yield Download(body, found["ETag"])
    finally:
        body.close()


def _watch(abort: Abort, sock: socket.socket | None) -> None:
    """Have ``abort`` wake the reader of ``sock``: by a descriptor of our own, for the library closes its one."""
    if sock is not None:
        abort.watch(socket.socket(fileno=os.dup(sock.fileno())))


def _ask(request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
    # Not urlopen: from Python 3.12 on it trusts, as long as the process runs, the certificates that it found at first.
    answer: http.client.HTTPResponse = urllib.request.build_opener().open(request, timeout=seconds)
    return answer


def _request(location: str, method: str) -> urllib.request.Request:
    url = urlsplit(location)
    host = url.netloc.rpartition("@")[2]
    request = urllib.request.Request(url._replace(netloc=host, fragment="").geturl(), method=method)  # noqa: S310  # its scheme is looked at above
    if url.username is not None:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}"
        # Unredirected: another host must not get it.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
    return request


def _client() -> Any:
    Extra.S3.check()
    # Late: it takes time and memory.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    return boto3.client(
        "s3",
        config=Config(connect_timeout=CONNECT_WITHIN, read_timeout=PIECE_WITHIN, retries={"total_max_attempts": 2}),
    )


def _bucket_and_key(location: str) -> dict[str, str]:
    url = urlsplit(location, allow_fragments=False)
    return {"Bucket": url.netloc, "Key": url.path.removeprefix("/") + (f"?{url.query}" if url.query else "")}


@contextmanager
def _explained(shown: str) -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        kind = _HeadRefused if error.code in (403, 405, 501) else ObtainFailed
        raise kind(f"cannot get the archive {shown}: HTTP status {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ObtainFailed(f"cannot get the archive {shown}: {error}") from None
    except Exception as error:
        # All of boto's are BotoCoreError or ClientError, which are there once it is loaded.
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore"):
            raise
        raise ObtainFailed(
            f"cannot get the archive {shown}: {error}. Credentials are found as by all of AWS's tools: the environment, "
            "~/.aws, the machine's role"
        ) from None
