"""Archives of images, repacked for the engine: which names they keep, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import zstandard

from hanoverd.docker.abort import Abort
from hanoverd.images.archive_stream import MAX_KEPT, Contents, Wanted, repacked
from hanoverd.runtime.errors import EngineUnreachable, ObtainFailed
from tests.unit.images.archives import (
    CONFIG,
    END,
    LAYER,
    MIB,
    blob,
    docker_files,
    entry,
    gzipped,
    header,
    index,
    oci_files,
    pax,
    tar,
    text,
)

COMPRESSIONS = pytest.mark.parametrize(
    "compress",
    [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress],
    ids=["plain", "gzip", "bzip2", "xz", "zstandard"],
)

#: Names that are not ours: other apps', and those that look like ours.
STOLEN = ("postgres:16", "docker.io/library/postgres:16", "hanoverd/other:latest", "r.example:5000/a/b:c")


def repack(data: bytes, contents: Contents | None = None, **wanted: Any) -> dict[str, bytes]:
    """Return the files that the engine gets."""
    contents = contents or Contents()
    plain = b"".join(repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), contents, Abort()))
    with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
        return {one.name: archive.extractfile(one).read() for one in archive}  # type: ignore[union-attr]


def refusal(data: bytes, **wanted: Any) -> str:
    """Return the message with which an archive is refused; the engine gets no manifest, and no end of the tar."""
    pieces = bytearray()
    try:
        for piece in repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), Contents(), Abort()):
            pieces += piece
    except ObtainFailed as error:
        assert b"hanoverd/web" not in pieces
        return str(error)
    raise AssertionError("it was not refused")


# -- names


@COMPRESSIONS
@pytest.mark.parametrize("files", [docker_files, oci_files])
@pytest.mark.parametrize("name", STOLEN)
def test_the_engine_gets_no_name_but_ours(
    files: Callable[..., dict[str, bytes]], compress: Callable[[bytes], bytes], name: str
) -> None:
    contents = Contents()
    sent = repack(compress(tar(files(name))), contents)
    [manifest] = json.loads(sent["manifest.json"])
    tag = name.rpartition(":")[2]
    assert manifest["RepoTags"] == [f"hanoverd/web:{tag}"]
    assert str(contents.name and contents.name.reference) == f"hanoverd/web:{tag}"
    assert not set(sent) & {"repositories", "index.json", "oci-layout"}
    assert name.encode() not in b"".join(sent.values())


@pytest.mark.parametrize("annotation", ["io.containerd.image.name", "org.opencontainers.image.ref.name"])
def test_the_annotations_of_an_index_are_not_sent(annotation: str) -> None:
    sent = repack(tar(oci_files("r.example/a:v2", annotation=annotation)))
    assert json.loads(sent["manifest.json"])[0]["RepoTags"] == ["hanoverd/web:v2"]


@pytest.mark.parametrize(
    ("names", "tag"),
    [
        ((), "latest"),
        (("a:v1", "b:v2"), "v1"),
        (("A:B:C", "b:v2"), "v2"),
        (("a@sha256:" + "0" * 64,), "latest"),
        (("a:../../x",), "latest"),
        (("a:" + "v" * 200,), "latest"),
        (("\x1b[2J", "a" * 100_000), "latest"),
    ],
)
def test_the_tag_is_that_of_the_first_valid_name(names: tuple[str, ...], tag: str) -> None:
    for files in (docker_files, oci_files):
        [manifest] = json.loads(repack(tar(files(*names)))["manifest.json"])
        assert manifest["RepoTags"] == [f"hanoverd/web:{tag}"]


def test_a_tag_alone_names_an_image_in_an_oci_archive() -> None:
    files = oci_files("v3", annotation="org.opencontainers.image.ref.name")
    assert json.loads(repack(tar(files))["manifest.json"])[0]["RepoTags"] == ["hanoverd/web:v3"]


@pytest.mark.parametrize(
    "names",
    [
        ["./manifest.json", "manifest.json"],
        ["manifest.json", ".//manifest.json"],
        ["manifest.json", "manifest.json"],
    ],
)
def test_two_manifests_are_refused(names: list[str]) -> None:
    files = docker_files("a:v1")
    manifest = files.pop("manifest.json")
    data = tar(files).removesuffix(END) + b"".join(entry(name, manifest) for name in names) + END
    assert 'it has the file "manifest.json" twice' in refusal(data)


def test_a_manifest_that_is_a_link_is_not_sent() -> None:
    files = docker_files("postgres:16")
    manifest = files.pop("manifest.json")
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        links = entry("manifest.json", kind=kind, target="m") + entry("repositories-2", kind=kind, target="m")
        message = refusal(tar({**files, "m": manifest}).removesuffix(END) + links + END)
        assert "it is not an archive of an image" in message


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "", ".", "a/..", "a\x00b"])
def test_a_name_outside_of_the_archive_is_refused(name: str) -> None:
    for bad in (
        pax({"path": name}) + entry("a"),
        pax({"linkpath": name}) + entry("link", kind=tarfile.SYMTYPE),
        pax({"linkpath": name}) + entry("link", kind=tarfile.LNKTYPE),
    ):
        assert "it has an entry with the name" in refusal(bad + tar(docker_files()))


def test_hostile_names_are_escaped_and_cut_in_messages() -> None:
    name = "../\x1b[2J\n14:03:21 web-3: live" + "x" * 90
    message = refusal(entry(name) + END)
    assert message.isprintable()
    assert len(message) < 250
    many = [{"Config": "c", "Layers": [], "RepoTags": ["\x1b]0;" + "x" * 1000]}] * 1000
    message = refusal(tar({"manifest.json": text(many)}))
    assert "it has 1000 images" in message
    assert message.isprintable()
    assert len(message) < 600


# -- honest archives


def test_the_image_keeps_its_id_and_its_files() -> None:
    contents = Contents()
    files = docker_files("a:v1")
    sent = repack(tar(files), contents)
    [manifest] = json.loads(sent.pop("manifest.json"))
    assert sent == {name: content for name, content in files.items() if name not in ("manifest.json", "repositories")}
    assert manifest["Layers"] == ["layer/layer.tar"]
    assert contents.image is not None
    assert contents.image.image_id == f"sha256:{hashlib.sha256(text(CONFIG)).hexdigest()}"
    assert contents.image.diff_ids == (f"sha256:{hashlib.sha256(LAYER).hexdigest()}",)


def test_links_of_a_layer_are_followed() -> None:
    # docker save before version 25 links to a layer that occurs twice.
    files = docker_files("a:v1")
    content = files.pop("layer/layer.tar")
    for links in (
        entry("layer/layer.tar", kind=tarfile.SYMTYPE, target="../other/layer.tar"),
        entry("layer/layer.tar", kind=tarfile.LNKTYPE, target="other/layer.tar"),
        entry("layer/layer.tar", kind=tarfile.SYMTYPE, target="../a/b")
        + entry("a/b", kind=tarfile.LNKTYPE, target="./other/layer.tar"),
    ):
        sent = repack(links + tar({**files, "other/layer.tar": content}))
        assert json.loads(sent["manifest.json"])[0]["Layers"] == ["other/layer.tar"]


def test_links_in_a_circle_are_refused() -> None:
    files = docker_files("a:v1")
    del files["layer/layer.tar"]
    circle = entry("layer/layer.tar", kind=tarfile.SYMTYPE, target="b") + entry(
        "layer/b", kind=tarfile.SYMTYPE, target="layer.tar"
    )
    assert 'it does not have the file "layer/layer.tar"' in refusal(circle + tar(files))


def test_one_image_with_several_names_in_an_index_is_one_image() -> None:
    [manifest] = json.loads(repack(tar(oci_files("a:v1", "b:v2")))["manifest.json"])
    assert manifest["RepoTags"] == ["hanoverd/web:v1"]


def test_padding_after_the_tar_is_read() -> None:
    data = tar(docker_files("a:v1"))
    assert repack(data + bytes(10_240))
    assert repack(gzip.compress(data) + gzip.compress(bytes(10_240)))


def test_an_archive_in_several_compressed_files_is_read() -> None:
    data = tar(docker_files("a:v1"))
    for compress in (gzip.compress, bz2.compress, lzma.compress, zstandard.ZstdCompressor().compress):
        assert repack(b"".join(compress(data[begin : begin + 700]) for begin in range(0, len(data), 700)))
    assert repack(lzma.compress(data[:700]) + bytes(400) + lzma.compress(data[700:]) + bytes(8))


def test_large_lists_of_packages_do_not_push_out_the_manifest() -> None:
    files = oci_files("a:v1")
    blobs: dict[str, bytes] = {}
    for number in range(8):
        blob(blobs, b'{"number": %d, "packages": "' % number + b"x" * (4 * MIB - 100) + b'"}')
    assert sum(map(len, blobs.values())) > MAX_KEPT
    for data in (tar({**blobs, **files}), tar({**files, **blobs})):
        assert "manifest.json" in repack(data)


# -- damaged and hostile archives


@COMPRESSIONS
def test_an_archive_that_was_cut_anywhere_is_refused(compress: Callable[[bytes], bytes]) -> None:
    data = compress(tar(docker_files("a:v1")))
    # Without the zeros at its end, a plain tar is complete.
    end = len(data) - len(END) if compress is bytes else len(data)
    for size in range(0, end, 7):
        assert "the archive app.tar " in refusal(data[:size])


def test_a_wrong_digest_of_the_archive_is_refused() -> None:
    data = gzip.compress(tar(docker_files("a:v1")))
    digest = hashlib.sha256(data).hexdigest()
    assert repack(data, digest=digest)
    assert f"has the wrong digest: sha256:{digest}" in refusal(data, digest="0" * 64)
    assert "has the wrong digest" in refusal(tar(docker_files("a:v1")) + b"more", digest="0" * 64)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_with_a_wrong_digest_is_refused(algorithm: str) -> None:
    digest = hashlib.new(algorithm, b"other").hexdigest()
    files = {**oci_files("a:v1"), f"blobs/{algorithm}/{digest}": b"content"}
    assert f'the digest of "blobs/{algorithm}/{digest[:40]}' in refusal(tar(files))
    files[f"blobs/{algorithm}/{digest}"] = b"other"
    assert repack(tar(files))


@pytest.mark.parametrize("name", ["blobs/md5/" + "0" * 32, "blobs/sha256/x", "blobs/sha256", "blobs/sha256/../x"])
def test_a_blob_whose_digest_cannot_be_checked_is_refused(name: str) -> None:
    message = refusal(tar({**oci_files("a:v1"), name: b""}))
    assert "is no blob with a SHA-256" in message or "it has an entry with the name" in message


def test_an_index_that_refers_to_itself_is_refused() -> None:
    name = "a" * 64
    content = index([{"digest": f"sha256:{name}", "platform": {"os": "linux", "architecture": "amd64"}}])
    assert "the digest of" in refusal(tar({"index.json": content, f"blobs/sha256/{name}": content}))


@mock.patch("platform.machine", new=mock.Mock(return_value="x86_64"))
def test_the_depth_of_indexes_is_limited() -> None:
    blobs: dict[str, bytes] = {}
    found = blob(blobs, text({"config": blob(blobs, text(CONFIG)), "layers": [blob(blobs, LAYER)]}))
    for depth in range(6):
        data = tar({**blobs, "index.json": index([found])})
        if depth <= 4:
            assert "manifest.json" in repack(data)
        else:
            assert "more than 4 indexes inside each other" in refusal(data)
        found = blob(blobs, index([{**found, "platform": {"os": "linux", "architecture": "amd64"}}]))


@pytest.mark.parametrize(
    "manifest",
    [
        b"{}",
        b"[]",
        b"[1]",
        b"[{}]",
        b"[" * 100_000,
        b'[{"Config": 1, "Layers": []}]',
        b'[{"Config": "c", "Layers": [1]}]',
        b'[{"Config": "c", "Layers": {}}]',
        b'[{"Config": "missing", "Layers": []}]',
        b'[{"Config": "../x", "Layers": []}]',
        b'[{"Config": "c", "Layers": [], "RepoTags": "a:b"}]',
        b'[{"Config": "c", "Layers": ["missing"]}]',
        b'[{"Config": "array", "Layers": []}]',
        b'[{"Config": "no-layers", "Layers": ["c"]}]',
        b"[\xff]",
        b"[1e9999999, NaN",
        b"[" + b"9" * 5000 + b"]",
    ],
)
def test_an_invalid_manifest_is_refused(manifest: bytes) -> None:
    files = {"c": text(CONFIG), "array": b"[1]", "no-layers": text({"rootfs": {"diff_ids": []}})}
    refusal(tar({**files, "manifest.json": manifest}))
    refusal(tar({**files, "index.json": manifest}))


@pytest.mark.parametrize(
    "change",
    [
        {"digest": 1},
        {"digest": "sha256:x"},
        {"digest": "md5:" + "0" * 32},
        {"digest": "sha256:" + "0" * 64},
        {"size": 1},
        {"size": "1"},
    ],
)
def test_an_invalid_descriptor_is_refused(change: dict[str, object]) -> None:
    files = oci_files("a:v1")
    [found] = json.loads(files["index.json"])["manifests"]
    refusal(tar({**files, "index.json": index([{**found, **change}])}))


def test_the_configuration_must_have_as_many_layers_as_the_manifest() -> None:
    files = docker_files("a:v1")
    [manifest] = json.loads(files["manifest.json"])
    files["manifest.json"] = text([{**manifest, "Layers": manifest["Layers"] * 2}])
    assert "its image has 2 layers, but its configuration has 1" in refusal(tar(files))


# -- limits


def many_texts(count: int) -> Iterator[bytes]:
    """Yield a tar of JSON files of 4 MiB."""
    for number in range(count):
        yield header(f"{number}.json", 4 * MIB)
        yield b"{" + bytes(4 * MIB - 1)
    yield tar(docker_files("a:v1"))


def peak(data: bytes, **wanted: Any) -> int:
    """Return the most memory, in bytes, that repacking takes."""
    tracemalloc.start()
    try:
        for _ in repacked(io.BytesIO(data), Wanted("app.tar", "web", **wanted), Contents(), Abort()):
            pass
    except ObtainFailed:
        pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


def test_many_json_files_take_little_memory() -> None:
    # Without the limit, 200 KiB become 200 MiB in memory.
    assert peak(gzipped(many_texts(50))) < 40 * MIB


def test_a_manifest_of_many_values_takes_little_memory() -> None:
    manifest = b"[" + b"{}," * MIB + b"{}]"
    assert '"manifest.json" has more than 100000 values' in refusal(tar({"manifest.json": manifest}))
    assert peak(gzip.compress(tar({"manifest.json": manifest}))) < 30 * MIB


def test_the_size_is_limited_before_and_after_it_is_unpacked() -> None:
    data = tar({**docker_files("a:v1"), "x": bytes(3 * MIB)})
    assert repack(data, max_size=len(data))
    assert "it has more than 2MiB: see --archive-max-size" in refusal(data, max_size=2 * MIB)
    assert "it has more than 2MiB" in refusal(gzip.compress(data), max_size=2 * MIB)
    # Also after the end of the tar.
    assert "it has more than 4MiB" in refusal(data + bytes(4 * MIB), max_size=4 * MIB)
    assert "it has more than 4MiB" in refusal(bz2.compress(data) + bytes(4 * MIB), max_size=4 * MIB)


def test_the_ratio_of_compression_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tar({**docker_files("a:v1"), "x": bytes(8 * MIB)})
    for compress in (gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress):
        # Small archives are not limited.
        assert repack(compress(data))
    monkeypatch.setattr("hanoverd.images.archive_reader.FREE_SIZE", 4 * MIB)
    for compress in (gzip.compress, lzma.compress, bz2.compress, zstandard.ZstdCompressor().compress):
        assert "which is more than 100 times as much" in refusal(compress(data))
    assert repack(data)


def test_an_abort_ends_the_reading_at_once() -> None:
    abort = Abort()
    pieces = repacked(io.BytesIO(gzipped(many_texts(20))), Wanted("app.tar", "web"), Contents(), abort)
    next(pieces)
    abort.request()
    with pytest.raises(EngineUnreachable, match="aborted"):
        next(pieces)
