"""A server of archives that misbehaves: what it sends as an image's archive, and how."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import tarfile
from collections.abc import Iterator, Mapping

from tests.faults.peers import http
from tests.faults.peers.http import Behaviour, endless

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n"

_MEBIBYTE = bytes(1024 * 1024)


def _member(name: str, content: bytes, kind: bytes = tarfile.REGTYPE, size: int | None = None) -> bytes:
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, len(content) if size is None else size
    return header.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % tarfile.BLOCKSIZE)


def _sent(body: bytes) -> Behaviour:
    return lambda to, _: to.sendall(_OK + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def _zipped(pieces: Iterator[bytes]) -> bytes:
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as file:
        for piece in pieces:
            file.write(piece)
    return buffer.getvalue()


def _bomb(kind: bytes, name: str, megabytes: int) -> Behaviour:
    """Send a member of so many MiB, as a few KiB."""

    def behave(connection: socket.socket, request: bytes) -> None:
        def pieces() -> Iterator[bytes]:
            yield _member(name, b"", kind, megabytes * len(_MEBIBYTE))
            for _ in range(megabytes):
                yield _MEBIBYTE.replace(b"\0", b"1")

        _sent(_zipped(pieces()))(connection, request)

    return behave


def _index(text: str) -> bytes:
    return _member("index.json", text.encode()) + bytes(1024)


def _loop() -> bytes:
    """Return an archive whose index refers to a blob with a wrong digest, which refers to itself."""
    digest = hashlib.sha256(b"no").hexdigest()
    platform = {"os": "linux", "architecture": "amd64"}
    index = json.dumps({"manifests": [{"digest": f"sha256:{digest}", "platform": platform}]})
    return _member(f"blobs/sha256/{digest}", index.encode()) + _index(index)


def _endless_members(connection: socket.socket, _: bytes) -> None:
    endless(connection, _OK + b"\r\n", _member("x" * 90, b"") * 100)


def _endless_files(connection: socket.socket, _: bytes) -> None:
    connection.sendall(_OK + b"\r\n")
    content, number = b"[" + b" " * 4000, 0
    while True:
        connection.sendall(b"".join(_member(f"{number}-{one}.json", content) for one in range(100)))
        number += 1


BEHAVIOURS: Mapping[str, Behaviour] = {
    **http.BEHAVIOURS,
    **http.SUCCESSES,
    "file of 300 MiB in a few KiB": _bomb(tarfile.REGTYPE, "layer.tar", 300),
    "extended header of 300 MiB": _bomb(tarfile.XHDTYPE, "././@PaxHeader", 300),
    "name of 300 MiB": _bomb(tarfile.GNUTYPE_LONGNAME, "././@LongLink", 300),
    "index of 300 MiB": _bomb(tarfile.REGTYPE, "index.json", 300),
    "index that refers to itself": _sent(_loop()),
    "index of brackets": _sent(_index("[" * 1_000_000)),
    "endless members": _endless_members,
    "endless JSON files": _endless_files,
    "paths outside": _sent(_member("../../../etc/passwd", b"x") + _member("/etc/shadow", b"x") + bytes(1024)),
}


if __name__ == "__main__":
    http.main(BEHAVIOURS)
