"""Downloads, read as a stream: from files, web servers and S3 (with boto3: the only module that imports it).

All functions block: they run in a thread.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_location import ArchiveLocation
from hanoverd.images.tar_reader import Readable
from hanoverd.images.web_download import HttpStatus, ask, short_version
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.extras import Extra
from hanoverd.text.lines import shortened
from hanoverd.text.quoting import quoted

#: The time limits for a connection and for each read, in seconds.
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60

#: How much of an error of S3 is shown, in characters.
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class Download:
    """A stream of bytes; its version, if it has one: an ETag, or a file's time and size; and its length, if it is known."""

    stream: Readable
    version: str | None
    length: int | None


@contextmanager
def opened(location: ArchiveLocation, abort: Abort) -> Iterator[Download]:
    """Open the download at ``location``.

    Raises ``ObtainFailed`` if it cannot be opened. Reading fails with ``ObtainFailed`` or ``OSError``; after ``abort`` was
    requested, at once.
    """
    open_download = {"https": _http, "http": _http, "s3": _s3}.get(location.scheme, _file)
    with open_download(location, abort) as download:
        yield download


def version_of(location: ArchiveLocation, abort: Abort) -> str | None:
    """Return the version of the download at ``location`` without downloading it; None if it has no version.

    Raises ``ObtainFailed`` if that cannot be asked.
    """
    if location.scheme == "s3":
        with _s3_errors_reported(location.shown):
            return short_version(_client().head_object(**_bucket_and_key(location.text))["ETag"])
    if location.scheme in ("https", "http"):
        try:
            with closing(ask(location.text, "HEAD", location.shown, CONNECT_TIMEOUT, abort)) as answer:
                return answer.version
        except HttpStatus as error:
            # Signed URLs and some servers allow only GET.
            if error.code in (403, 405, 501):
                return None
            raise
    try:
        return _version_of_file(os.stat(location.text))  # noqa: PTH116  # as in _file
    except OSError:
        return None


def _version_of_file(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"


@contextmanager
def _file(location: ArchiveLocation, abort: Abort) -> Iterator[Download]:
    del abort  # Reading a file does not block for long.
    failure = f"cannot read the archive {location.shown}"
    try:
        # Without O_NONBLOCK, a pipe without a writer would block.
        descriptor = os.open(location.text, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ObtainFailed(f"{failure}: {error.strerror}") from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise ObtainFailed(f"{failure}: it is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        yield Download(stream, _version_of_file(found), found.st_size)


@contextmanager
def _http(location: ArchiveLocation, abort: Abort) -> Iterator[Download]:
    with closing(ask(location.text, "GET", location.shown, READ_TIMEOUT, abort)) as answer:
        yield Download(answer, answer.version, answer.length)


@contextmanager
def _s3(location: ArchiveLocation, abort: Abort) -> Iterator[Download]:
    with _s3_errors_reported(location.shown):
        found = _client().get_object(**_bucket_and_key(location.text))
    with closing(found["Body"]) as body:
        sock = getattr(getattr(body._raw_stream, "_connection", None), "sock", None)  # noqa: SLF001  # to abort
        if sock is not None:
            # With a descriptor of its own, because the library closes the original.
            abort.watch(socket.socket(fileno=os.dup(sock.fileno())))
        yield Download(_S3Body(body.read, location.shown, abort), short_version(found["ETag"]), found["ContentLength"])


class _S3Body:
    """Reads an object of S3, and reports errors as ``ObtainFailed``."""

    #: A read waits for as many bytes as are asked for: so that the speed can be judged, they must be few.
    _PIECE = 16 * 1024

    def __init__(self, read: Callable[[int], bytes], shown: str, abort: Abort) -> None:
        self._read = read
        self._shown = shown
        self._abort = abort

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes."""
        with _s3_errors_reported(self._shown, self._abort):
            return self._read(min(size, self._PIECE))


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
def _s3_errors_reported(shown: str, abort: Abort | None = None) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # boto3's BotoCoreError and ClientError exist only where it is installed; reading can fail with urllib3's errors.
        if type(error).__module__.partition(".")[0] not in ("boto3", "botocore", "urllib3"):
            raise
        if abort is not None:
            abort.check()
        reason = quoted(shortened(str(error), _LONGEST_ERROR))
        raise ObtainFailed(
            f"cannot get the archive {shown}: {reason}. Credentials come from the environment, ~/.aws or the machine's "
            "role, as for other AWS tools"
        ) from None
