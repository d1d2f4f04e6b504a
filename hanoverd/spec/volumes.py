"""The volumes of ``--volume``: parsed as Docker's command line does, and checked as the engine does.

The engine checks them only when it creates a container.  Checked here, a mistake is found before a running app is
touched.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass

#: The engine's modes by kind (its Linux volume parser); a volume can have one of each kind.
_MODES = {
    **dict.fromkeys(("ro", "rw"), "access"),
    **dict.fromkeys(("z", "Z"), "label"),
    **dict.fromkeys(("private", "rprivate", "shared", "rshared", "slave", "rslave"), "propagation"),
    "nocopy": "copy",
    **dict.fromkeys(("consistent", "cached", "delegated"), "consistency"),
}
_SHOWN_MODES = "ro rw, z Z, [r]private [r]shared [r]slave, nocopy, consistent cached delegated"
PROPAGATIONS = frozenset(mode for mode, kind in _MODES.items() if kind == "propagation")

_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SHORTEST_VOLUME_NAME = 2

#: Docker's client reads a text of up to so many characters as a path in the container, whatever it is.
_SHORTEST = 2

#: SOURCE, TARGET and MODE.
_MOST_SECTIONS = 3


@dataclass(frozen=True)
class Bind:
    """A folder of the host, or a named volume: an entry of ``HostConfig.Binds``."""

    spec: str

    @property
    def target(self) -> str:
        """The path in the container."""
        return self.spec.split(":")[1]


@dataclass(frozen=True)
class AnonymousVolume:
    """A new, empty volume for each container: a key of ``Config.Volumes``."""

    path: str


@dataclass(frozen=True)
class Volumes:
    """The volumes of a container: entries of ``HostConfig.Binds``, and the paths of anonymous ones."""

    binds: tuple[str, ...] = ()
    anonymous: tuple[str, ...] = ()

    @classmethod
    def of(cls, volumes: Iterable[Bind | AnonymousVolume]) -> Volumes:
        """Collect ``volumes``; one that is given twice in the same words counts once."""
        once = tuple(dict.fromkeys(volumes))
        return cls(
            tuple(volume.spec for volume in once if isinstance(volume, Bind)),
            tuple(volume.path for volume in once if isinstance(volume, AnonymousVolume)),
        )


def parse_volume(text: str, cwd: str) -> Bind | AnonymousVolume:
    """Read ``[SOURCE:]TARGET[:MODE]``; a SOURCE that starts with a dot is relative to ``cwd``.

    ValueError, in the words of docker or of the engine.
    """
    if not text:
        raise ValueError("invalid empty volume spec")
    sections = _sections(text)
    if len(text) <= _SHORTEST or len(sections) == 1:
        return AnonymousVolume(text)
    _check_sections(text, sections)
    source, *rest = sections
    source = resolved(source, cwd)
    if ":" in source:
        raise ValueError(f"invalid volume specification: '{text}': {source} has a colon: use --mount for it")
    return Bind(":".join([source, *rest]))


def check_volume(volume: Bind | AnonymousVolume) -> None:
    """Raise ValueError, in the engine's words, for a volume that the engine refuses to create a container with."""
    text = volume.spec if isinstance(volume, Bind) else volume.path
    sections = text.split(":")
    drive = next((section for section in sections[:-1] if _is_drive(section)), None)
    if drive is not None:
        raise ValueError(
            f"invalid volume specification: '{text}': docker reads '{drive}:' as a Windows drive: use "
            "a name of two letters or more, or an absolute path"
        )
    try:
        if isinstance(volume, AnonymousVolume):
            check_target("volume", text)
        else:
            _check_bind(text, sections)
    except InvalidMount as error:
        raise ValueError(f"invalid volume specification: '{text}': {error}") from None


def check_mount_points(targets: Iterable[str]) -> None:
    """Raise ValueError, in the engine's words, if two mounts have the same target."""
    seen: set[str] = set()
    for target in targets:
        clean = posixpath.normpath(target)
        if clean in seen:
            raise ValueError(f"Duplicate mount point: {clean}")
        seen.add(clean)


class InvalidMount(ValueError):
    """The engine refuses this mount; the text is in its words."""

    def __init__(self, kind: str, reason: str) -> None:
        """Write the engine's message for a mount of type ``kind`` and a reason."""
        super().__init__(f'invalid mount config for type "{kind}": {reason}')


def check_target(kind: str, target: str) -> None:
    """Raise ``InvalidMount`` if the engine cannot mount on ``target``."""
    if posixpath.normpath(target.replace("\\", "/")) in ("/", "//"):
        raise InvalidMount(kind, "invalid specification: destination can't be '/'")
    check_absolute(kind, target)


def check_absolute(kind: str, path: str) -> None:
    """Raise ``InvalidMount`` for a relative path."""
    if not path.startswith("/"):
        raise InvalidMount(kind, f"invalid mount path: '{path}' mount path must be absolute")


def check_volume_name(name: str) -> None:
    """Raise ValueError, in the engine's words, if ``name`` is not valid for a local volume."""
    if not _VOLUME_NAME.fullmatch(name):
        raise ValueError(
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
            "are allowed. If you intended to pass a host directory, use absolute path"
        )
    if len(name) < _SHORTEST_VOLUME_NAME:
        raise ValueError("volume name is too short, names should be at least two alphanumeric characters")


def resolved(source: str, cwd: str) -> str:
    """Return ``source``, made absolute if it starts with a dot, as docker does: other relative paths are names."""
    return posixpath.normpath(posixpath.join(cwd, source)) if source.startswith(".") else source


def _is_drive(section: str) -> bool:
    return len(section) == 1 and section.isalpha()


def _sections(text: str) -> list[str]:
    """Split a text at its colons, except at the one after a single letter: docker's client reads it as a Windows drive."""
    found: list[str] = []
    drive = ""
    *first, last = text.split(":")
    for section in first:
        if not drive and _is_drive(section):
            drive = f"{section}:"
        else:
            found.append(drive + section)
            drive = ""
    return [*found, drive + last]


def _check_sections(text: str, sections: list[str]) -> None:
    for number, section in enumerate(sections, 1):
        if not section:
            raise ValueError(f"invalid spec: {text}: empty section between colons")
        if number == _MOST_SECTIONS < len(sections):
            raise ValueError(f"invalid spec: {text}: too many colons")


def _check_bind(text: str, sections: list[str]) -> None:
    source, target, *mode = sections
    if not mode and _kinds(target) is not None:
        raise ValueError(f"invalid volume specification: '{text}': a volume without a source has no mode")
    kinds = _kinds(mode[0]) if mode else frozenset[str]()
    if kinds is None:
        raise ValueError(f"invalid mode: {mode[0]} (the modes are {_SHOWN_MODES}; at most one of each kind)")
    kind = "bind" if source.startswith("/") else "volume"
    check_target(kind, target)
    if kind == "bind" and "copy" in kinds:
        raise InvalidMount(kind, "field VolumeOptions must not be specified (nocopy is for volumes)")
    if kind == "volume":
        if "propagation" in kinds:
            raise InvalidMount(kind, "field BindOptions must not be specified (propagation is for folders)")
        check_volume_name(source)


def _kinds(mode: str) -> frozenset[str] | None:
    """Return the kinds of the parts of a mode; None if a part is unknown, or there are two of a kind."""
    parts = mode.split(",")
    if not all(part in _MODES for part in parts):
        return None
    kinds = [_MODES[part] for part in parts]
    return frozenset(kinds) if len(set(kinds)) == len(kinds) else None
