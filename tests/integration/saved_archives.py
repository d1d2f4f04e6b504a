"""Archives of docker save, changed for tests."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile


def members(archive: bytes) -> dict[str, bytes]:
    """Return the files in a tar archive; links are files with the same content."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for member in tar:
            file = None if member.isdir() else tar.extractfile(member)
            if file is not None:
                found[member.name] = file.read()
        return found


def tarred(files: dict[str, bytes]) -> bytes:
    """Return a tar archive of files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def renamed(archive: bytes, old: str, new: str) -> bytes:
    """Return an archive of ``docker save`` whose image has another name."""
    files = members(archive)
    assert old in files["manifest.json"].decode()
    repositories = {new.partition(":")[0]: {new.partition(":")[2]: "0" * 64}}
    return tarred(
        {
            **files,
            "manifest.json": files["manifest.json"].replace(old.encode(), new.encode()),
            "repositories": json.dumps(repositories).encode(),
        }
    )


def merged(one: bytes, other: bytes) -> bytes:
    """Return one archive with the images of two."""
    files = {**members(one), **members(other)}
    manifests = [json.loads(members(archive)["manifest.json"]) for archive in (one, other)]
    return tarred({**files, "manifest.json": json.dumps([*manifests[0], *manifests[1]]).encode()})


def as_oci(
    archive: bytes,
    *,
    compress: bool = False,
    platforms: tuple[str, ...] = (),
    annotation: str = "io.containerd.image.name",
) -> bytes:
    """Convert an archive of ``docker save`` to an OCI archive (OCI image layout specification)."""
    files = members(archive)
    [image] = json.loads(files["manifest.json"])
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = content
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    layers = [files[name] for name in image["Layers"]]
    kind = "layer.v1.tar+gzip" if compress else "layer.v1.tar"
    manifest = {
        "schemaVersion": 2,
        "config": blob(files[image["Config"]], "config.v1+json"),
        "layers": [blob(gzip.compress(layer, 1) if compress else layer, kind) for layer in layers],
    }
    described = blob(json.dumps(manifest).encode(), "manifest.v1+json")
    if platforms:
        fitting = [{**described, "platform": {"os": "linux", "architecture": name}} for name in platforms]
        described = blob(json.dumps({"schemaVersion": 2, "manifests": fitting}).encode(), "index.v1+json")
    described["annotations"] = {annotation: image["RepoTags"][0]}
    index = {"schemaVersion": 2, "manifests": [described]}
    return tarred({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **blobs})
