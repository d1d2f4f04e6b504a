"""Archives of images, honest and hostile, for the tests of loading."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping

END = bytes(2 * tarfile.BLOCKSIZE)
MIB = 1024 * 1024

LAYER = b"a layer"
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {"Cmd": ["app"]},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(LAYER).hexdigest()}"]},
}


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """Return an entry of a tar: its header and its content."""
    return header(name, len(content), kind, target) + padded(content)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """Return a header of a tar that says what it is told."""
    made = tarfile.TarInfo(name)
    made.size, made.type, made.linkname = size, kind, target
    return made.tobuf(tarfile.GNU_FORMAT)


def padded(content: bytes) -> bytes:
    """Return a content with the zeros after it."""
    return content + bytes(-len(content) % tarfile.BLOCKSIZE)


def pax(fields: Mapping[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a PAX header."""
    return entry("pax", b"".join(record(key, value) for key, value in fields.items()), kind)


def record(key: str, value: str) -> bytes:
    """Return a record of a PAX header, which begins with its own length."""
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


def tar(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of files."""
    return b"".join(entry(name, content) for name, content in files.items()) + END


def docker_files(*names: str, layer: bytes = LAYER) -> dict[str, bytes]:
    """Return the files of ``docker save``."""
    config = text(CONFIG)
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": list(names) or None, "Layers": ["layer/layer.tar"]}]
    repositories = {name.rpartition(":")[0]: {name.rpartition(":")[2]: "0" * 64} for name in names}
    return {
        "layer/layer.tar": layer,
        config_name: config,
        "repositories": text(repositories),
        "manifest.json": text(manifest),
    }


def oci_files(*names: str, annotation: str = "io.containerd.image.name") -> dict[str, bytes]:
    """Return the files of an OCI archive; the image is in the index once for each name."""
    blobs: dict[str, bytes] = {}
    manifest = {
        "schemaVersion": 2,
        "config": blob(blobs, text(CONFIG)),
        "layers": [blob(blobs, LAYER)],
    }
    found = blob(blobs, text(manifest))
    entries = [{**found, "annotations": {annotation: name}} for name in names] or [found]
    return {**blobs, "oci-layout": text({"imageLayoutVersion": "1.0.0"}), "index.json": index(entries)}


def index(entries: Iterable[object]) -> bytes:
    """Return an index of an OCI archive."""
    return text({"schemaVersion": 2, "manifests": list(entries)})


def blob(blobs: dict[str, bytes], content: bytes) -> dict[str, object]:
    """Add a blob, and return its descriptor."""
    digest = hashlib.sha256(content).hexdigest()
    blobs[f"blobs/sha256/{digest}"] = content
    return {"mediaType": "any", "digest": f"sha256:{digest}", "size": len(content)}


def text(value: object) -> bytes:
    """Return JSON."""
    return json.dumps(value).encode()


def gzipped(pieces: Iterable[bytes]) -> bytes:
    """Return pieces compressed, without ever holding all of them."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as file:
        for piece in pieces:
            file.write(piece)
    return buffer.getvalue()
