"""The mounts of ``--mount``: parsed as Docker's command line does; ``check_mount`` checks them as the engine does.

The result is a ``Mount`` of the Docker Engine API, an entry of ``HostConfig.Mounts``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hanoverd.spec.volumes import (
    PROPAGATIONS,
    InvalidMount,
    check_absolute,
    check_target,
    check_volume_name,
    resolved,
)
from hanoverd.text.booleans import parse_boolean
from hanoverd.text.comma_fields import comma_fields
from hanoverd.text.sizes import parse_size

_SYNONYMS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}

#: Keys that mean true if they have no value.
_SWITCHES = frozenset({"readonly", "volume-nocopy", "bind-nonrecursive"})

_RECURSIVE = {
    "enabled": None,
    "disabled": "NonRecursive",
    "writable": "ReadOnlyNonRecursive",
    "readonly": "ReadOnlyForceRecursive",
}

#: The types of mounts that have options of their own, and the field of the engine's Mount that has them.
_OPTIONS_OF = {
    "volume": "VolumeOptions",
    "image": "ImageOptions",
    "bind": "BindOptions",
    "tmpfs": "TmpfsOptions",
}
_TYPES = frozenset({*_OPTIONS_OF, "cluster"})

_MOST_MODE_BITS = 2**32


def parse_mount(text: str, cwd: str) -> dict[str, object]:
    """Read ``type=…,source=…,target=…[,KEY[=VALUE]…]``; a source that starts with a dot is relative to ``cwd``.

    ValueError, in docker's words.
    """
    draft = _Draft(cwd)
    for entry in comma_fields(text):
        draft.take(entry)
    draft.check()
    return draft.mount()


def check_mount(mount: Mapping[str, Any]) -> None:
    """Raise ``InvalidMount``, in the engine's words, for a mount that the engine refuses to create a container with."""
    kind, source = mount["Type"], mount.get("Source", "")
    if kind not in _TYPES:
        raise InvalidMount(kind, "mount type unknown (write bind, volume, tmpfs or image)")
    check_target(kind, mount["Target"])
    if kind in ("bind", "image") and not source:
        raise InvalidMount(kind, "field Source must not be empty")
    if kind == "tmpfs" and source:
        raise InvalidMount(kind, "field Source must not be specified")
    if kind == "bind":
        check_absolute(kind, source)
        propagation = mount.get("BindOptions", {}).get("Propagation", "")
        if propagation and propagation not in PROPAGATIONS:
            raise InvalidMount(kind, f"invalid propagation mode: {propagation}")
    if kind == "volume":
        _check_volume(source, mount)


def _check_volume(source: str, mount: Mapping[str, Any]) -> None:
    options = mount.get("VolumeOptions", {})
    if not source and mount.get("ReadOnly"):
        raise InvalidMount("volume", "must not set ReadOnly mode when using anonymous volumes")
    if not source and options.get("Subpath"):
        raise InvalidMount("volume", "must not set Subpath when using anonymous volumes")
    # Other drivers have other rules for names.
    if source and options.get("DriverConfig", {}).get("Name") in (None, "local"):
        check_volume_name(source)


@dataclass
class _Draft:
    """A mount whose fields are being read."""

    cwd: str
    type: str = "volume"
    source: str = ""
    target: str = ""
    readonly: bool = False
    consistency: str = ""
    options: dict[str, dict[str, object]] = field(default_factory=dict)

    def take(self, entry: str) -> None:
        """Read one field."""
        written, equals, value = entry.partition("=")
        key = written.lower()
        name = _SYNONYMS.get(key, key)
        if not equals:
            if name not in _SWITCHES:
                raise ValueError(f"invalid field '{entry}' must be a key=value pair")
            value = "true"
        if name in _READERS:
            _READERS[name](self, key, value)
        else:
            raise ValueError(f"unexpected key '{key}' in '{entry}'")

    def of(self, kind: str) -> dict[str, object]:
        """Return the options of one type of mount; create them if there are none."""
        if kind not in self.options:
            # Docker's client always sends this one, empty or not.
            self.options[kind] = {"DriverConfig": {}} if kind == "volume" else {}
        return self.options[kind]

    def check(self) -> None:
        """Check what docker's client checks when it has all fields, in its order."""
        if not self.type:
            raise ValueError("type is required")
        if not self.target:
            raise ValueError("target is required")
        for kind in _OPTIONS_OF:
            if kind in self.options and kind != self.type:
                raise ValueError(f"cannot mix '{kind}-*' options with mount type '{self.type}'")
        bind = self.options.get("bind", {})
        for recursive in ("writable", "readonly"):
            if bind.get(str(_RECURSIVE[recursive])) and not self.readonly:
                raise ValueError(
                    f"option 'bind-recursive={recursive}' requires 'readonly' to be specified in conjunction"
                )
        if bind.get("ReadOnlyForceRecursive") and bind.get("Propagation") != "rprivate":
            raise ValueError(
                "option 'bind-recursive=readonly' requires 'bind-propagation=rprivate' to be specified in conjunction"
            )

    def mount(self) -> dict[str, object]:
        """Return the engine's Mount: without what is empty or false, as docker's client sends it."""
        mount: dict[str, object] = {"Type": self.type, "Source": self.source, "Target": self.target}
        mount |= {"ReadOnly": self.readonly, "Consistency": self.consistency}
        found = {key: value for key, value in mount.items() if value}
        return found | {_OPTIONS_OF[kind]: _given(options) for kind, options in self.options.items()}


def _given(options: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in options.items() if value or key == "DriverConfig"}


def _read_type(draft: _Draft, _: str, value: str) -> None:
    draft.type = value.lower()


def _read_source(draft: _Draft, _: str, value: str) -> None:
    draft.source = resolved(value, draft.cwd)


def _read_target(draft: _Draft, _: str, value: str) -> None:
    draft.target = value


def _read_readonly(draft: _Draft, key: str, value: str) -> None:
    draft.readonly = _boolean(key, value)


def _read_consistency(draft: _Draft, _: str, value: str) -> None:
    draft.consistency = value.lower()


def _read_recursive(draft: _Draft, key: str, value: str) -> None:
    if value not in _RECURSIVE:
        raise ValueError(f'invalid value for {key}: {value} (must be "enabled", "disabled", "writable", or "readonly")')
    meaning = _RECURSIVE[value]
    if meaning:
        draft.of("bind")[meaning] = True


def _read_driver(draft: _Draft, _: str, value: str) -> None:
    _inner(draft.of("volume"), "DriverConfig").update({"Name": value} if value else {})


def _read_driver_option(draft: _Draft, _: str, value: str) -> None:
    _add_pair(_inner(draft.of("volume"), "DriverConfig"), "Options", value)


def _read_label(draft: _Draft, _: str, value: str) -> None:
    _add_pair(draft.of("volume"), "Labels", value)


def _read_size(draft: _Draft, key: str, value: str) -> None:
    try:
        draft.of("tmpfs")["SizeBytes"] = parse_size(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _read_mode(draft: _Draft, key: str, value: str) -> None:
    if not re.fullmatch("[0-7]+", value) or int(value, 8) >= _MOST_MODE_BITS:
        raise ValueError(f"invalid value for {key}: {value}")
    draft.of("tmpfs")["Mode"] = int(value, 8)


def _text(kind: str, name: str) -> Callable[[_Draft, str, str], None]:
    def read(draft: _Draft, _: str, value: str) -> None:
        draft.of(kind)[name] = value

    return read


def _switch(kind: str, name: str) -> Callable[[_Draft, str, str], None]:
    def read(draft: _Draft, key: str, value: str) -> None:
        draft.of(kind)[name] = _boolean(key, value)

    return read


def _read_propagation(draft: _Draft, _: str, value: str) -> None:
    draft.of("bind")["Propagation"] = value.lower()


_READERS: dict[str, Callable[[_Draft, str, str], None]] = {
    "type": _read_type,
    "source": _read_source,
    "target": _read_target,
    "readonly": _read_readonly,
    "consistency": _read_consistency,
    "bind-propagation": _read_propagation,
    "bind-nonrecursive": _switch("bind", "NonRecursive"),
    "bind-recursive": _read_recursive,
    "volume-nocopy": _switch("volume", "NoCopy"),
    "volume-label": _read_label,
    "volume-driver": _read_driver,
    "volume-opt": _read_driver_option,
    "volume-subpath": _text("volume", "Subpath"),
    "image-subpath": _text("image", "Subpath"),
    "tmpfs-size": _read_size,
    "tmpfs-mode": _read_mode,
}


def _boolean(key: str, value: str) -> bool:
    try:
        return parse_boolean(value)
    except ValueError:
        raise ValueError(f"invalid value for {key}: {value}") from None


def _inner(outer: dict[str, object], key: str) -> dict[str, object]:
    inner = outer.setdefault(key, {})
    if not isinstance(inner, dict):
        raise TypeError(key)
    return inner


def _add_pair(outer: dict[str, object], name: str, text: str) -> None:
    key, _, value = text.partition("=")
    if key:
        _inner(outer, name)[key] = value
