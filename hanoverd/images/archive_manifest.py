"""The image in an archive of ``docker save``, or in an OCI archive, found by its JSON files; pure.

The formats: the image specification of Docker (moby, image/spec), and the OCI image layout specification.
"""

from __future__ import annotations

import json
import platform
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hanoverd.spec.image_name import ImageName
from hanoverd.text.lines import shortened
from hanoverd.text.quoting import quoted

#: The files that say what an archive contains.
DOCKER, OCI = "manifest.json", "index.json"

#: Files that name images, too: of versions of Docker before 1.10, and of OCI archives. They are not sent to the engine.
NAMING = (DOCKER, OCI, "oci-layout", "repositories")

#: The largest JSON file that is read, in bytes (a registry has the same limit), and the most values in it.
MAX_JSON, MAX_VALUES = 4 * 1024 * 1024, 100_000

#: How many indexes may be inside each other, and how many links may follow each other.
MAX_DEPTH = 4

#: The annotations with an image's name in an OCI archive: containerd's (a full name), and the OCI image specification's (a
#: full name, or a tag).
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")

_BLOB_LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class File:
    """A file of an archive, by its size in bytes and its SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


@dataclass
class Files:
    """The files of an archive, the links to them, and the contents of its JSON files, by their names."""

    files: dict[str, File] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    texts: Mapping[str, bytes] = field(default_factory=dict)

    def find(self, name: str) -> str:
        """Return the name of the file that ``name`` is, or is a link to; ValueError if there is none."""
        found = clean_name(name)
        for _ in range(MAX_DEPTH):
            if found in self.files:
                return found
            if found not in self.links:
                break
            found = self.links[found]
        raise ValueError(f"it does not have the file {shown(name)}, which it names")

    def json(self, name: str) -> Any:
        """Return the contents of a JSON file; ValueError if it is missing, invalid, or too large."""
        found = self.find(name)
        if found not in self.texts:
            raise ValueError(f"{shown(name)} is not JSON, or larger than {MAX_JSON} bytes")
        return _parsed(self.texts[found], shown(name))


@dataclass(frozen=True)
class SavedImage:
    """An image in an archive: the files of its configuration and its layers, the names that the archive gives it, the ID
    that engines compute from its configuration, and the digests of its layers, unpacked.
    """

    config: str
    layers: tuple[str, ...]
    names: tuple[str, ...]
    image_id: str
    diff_ids: tuple[str, ...]

    @property
    def tag(self) -> str | None:
        """The tag of the first name that has a valid one."""
        for name in self.names:
            if re.fullmatch(r"\w[\w.-]{0,127}", name, re.ASCII):
                return name
            try:
                tag = ImageName.parse(name[:_LONGEST_NAME]).tag
            except ValueError:
                continue
            if tag is not None:
                return tag
        return None

    def manifest(self, name: ImageName) -> bytes:
        """Return the ``manifest.json`` that gives the image this name, and no other."""
        image = {"Config": self.config, "RepoTags": [name.reference], "Layers": self.layers}
        return json.dumps([image]).encode()


#: The longest name of an image that is read, in characters: a repository has at most 255, a tag 128.
_LONGEST_NAME = 512


def saved_image(files: Files) -> SavedImage:
    """Return the image of an archive; ValueError, with the reason, if it has none, or several."""
    if DOCKER in files.files:
        found = _of_docker(files)
    elif OCI in files.files:
        found = _of_oci(files)
    else:
        raise ValueError(f"it is not an archive of an image: it has neither {DOCKER} nor {OCI}")
    if len(found) != 1:
        listed = ", ".join(shown(name) for _, names in found[:3] for name in names[:1])
        raise ValueError(f"it has {len(found)} images ({listed or 'without names'}): save only one image")
    [((config, layers), names)] = found
    config = files.find(config)
    described = _checked(files.json(config), dict, config)
    rootfs = _checked(described.get("rootfs"), dict, "rootfs")
    diff_ids = tuple(str(one) for one in _checked(rootfs.get("diff_ids"), list, "rootfs.diff_ids"))
    if len(diff_ids) != len(layers):
        raise ValueError(f"its image has {len(layers)} layers, but its configuration has {len(diff_ids)}")
    return SavedImage(
        config=config,
        layers=tuple(files.find(layer) for layer in layers),
        names=tuple(names),
        image_id=f"sha256:{files.files[config].sha256}",
        diff_ids=diff_ids,
    )


def clean_name(name: str) -> str:
    """Return the name of a file without ``./``; ValueError for a name that is outside of the archive."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise ValueError(f"it has an entry with the name {shown(name)}")
    return "/".join(parts)


def link_target(name: str, target: str) -> str:
    """Return what the symbolic link ``name`` refers to; ValueError if that is outside of the archive."""
    return clean_name(posixpath.normpath(posixpath.join(posixpath.dirname(name), target)))


def blob_digest(name: str) -> tuple[str, str] | None:
    """Return the algorithm and the digest that the name of a blob says; None if the file is not a blob.

    ValueError for a blob whose digest cannot be checked.
    """
    folder, _, rest = name.partition("/")
    if folder != "blobs":
        return None
    algorithm, _, digest = rest.partition("/")
    if not re.fullmatch(rf"[0-9a-f]{{{_BLOB_LENGTHS.get(algorithm, 0)}}}", digest):
        raise ValueError(f"{shown(name)} is no blob with a SHA-256, SHA-384 or SHA-512")
    return algorithm, digest


def shown(name: str) -> str:
    """Return a name of an archive for messages."""
    return quoted(shortened(name, 100))


#: The files of an image's configuration and layers, and the names of the image.
_Found = list[tuple[tuple[str, list[str]], list[str]]]


def _of_docker(files: Files) -> _Found:
    images = []
    for image in _checked(files.json(DOCKER), list, DOCKER):
        described = _checked(image, dict, DOCKER)
        config = _checked(described.get("Config"), str, "Config")
        layers = _texts(described.get("Layers"), "Layers")
        images.append(((config, layers), _texts(described.get("RepoTags"), "RepoTags")))
    return images


def _of_oci(files: Files) -> _Found:
    # The same image may be in the index under several names.
    images: dict[str, tuple[tuple[str, list[str]], list[str]]] = {}
    for found in _descriptors(files.json(OCI), "manifests", OCI):
        annotations = found.get("annotations")
        names = [annotations.get(key) for key in _NAMES] if isinstance(annotations, dict) else []
        blob = _blob(files, found)
        if blob not in images:
            images[blob] = (_of_manifest(files, blob, MAX_DEPTH), [])
        images[blob][1].extend(name for name in names if isinstance(name, str) and name)
    return list(images.values())


def _of_manifest(files: Files, blob: str, depth: int) -> tuple[str, list[str]]:
    manifest = _checked(files.json(blob), dict, blob)
    if "manifests" not in manifest:
        config = _blob(files, _checked(manifest.get("config"), dict, "config"))
        return config, [_blob(files, layer) for layer in _descriptors(manifest, "layers", blob)]
    # An index of images for several platforms; an entry without one is an attestation.
    if not depth:
        raise ValueError(f"it has more than {MAX_DEPTH} indexes inside each other")
    matching = [one for one in _descriptors(manifest, "manifests", blob) if _is_for_this_host(one.get("platform"))]
    if not matching:
        raise ValueError(f"it has no image for this host's architecture ({_architecture()})")
    return _of_manifest(files, _blob(files, matching[0]), depth - 1)


def _blob(files: Files, descriptor: Mapping[str, Any]) -> str:
    """Return the file of a descriptor; ValueError if it has another size than the descriptor says."""
    algorithm, _, value = _checked(descriptor.get("digest"), str, "digest").partition(":")
    name = f"blobs/{algorithm}/{value}"
    blob_digest(name)
    size = descriptor.get("size")
    if size is not None and files.files[files.find(name)].size != size:
        raise ValueError(f"{shown(name)} has another size than the manifest says")
    return name


def _descriptors(container: Any, key: str, where: str) -> Sequence[Mapping[str, Any]]:
    listed = _checked(_checked(container, dict, where).get(key), list, key)
    return [_checked(one, dict, key) for one in listed]


def _texts(value: Any, where: str) -> list[str]:
    return [_checked(one, str, where) for one in _checked(value or [], list, where)]


def _checked(value: Any, kind: type, where: str) -> Any:
    if not isinstance(value, kind):
        raise ValueError(  # noqa: TRY004  # the archive has the wrong type, not the caller
            f"it is not an archive of an image: {shown(where)} is missing or invalid"
        )
    return value


def _parsed(text: bytes, where: str) -> Any:
    # Each value but the first of a list or object follows a comma. A value needs up to a hundred times its text in memory.
    if sum(map(text.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise ValueError(f"{where} has more than {MAX_VALUES} values")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is invalid JSON: {error}") from None


def _architecture() -> str:
    machine = platform.machine()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _is_for_this_host(wanted: Any) -> bool:
    return isinstance(wanted, dict) and (wanted.get("os"), wanted.get("architecture")) == ("linux", _architecture())
