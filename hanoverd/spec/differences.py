"""What differs between the containers of two versions.  Pure; it shows no value that can be secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanoverd.spec.container import MOUNTS, ContainerSpec, Recipe

#: The places of what is not in ``ContainerSpec.settings``, as in the body of ``POST /containers/create``.
IMAGE, COMMAND, ENV, PLATFORM = "Image", "Cmd", "Env", "Platform"
PORTS, BINDS, VOLUMES = "HostConfig.PortBindings", "HostConfig.Binds", "Volumes"

#: Lists that are one value: they are shown as a whole.
WHOLE = frozenset({COMMAND, "Entrypoint", "Healthcheck.Test"})

#: Lists without an order.
_SETS = frozenset({"HostConfig.CapAdd", "HostConfig.CapDrop", "HostConfig.GroupAdd", "HostConfig.SecurityOpt", MOUNTS})

#: Where the values of all pairs can be secret: ``--log-opt``.
_LOG_OPTIONS = "HostConfig.LogConfig.Config"

_MASK = "***"

#: What names a secret.
_SECRET_NAME = re.compile(r"passw|secret|token|credential|api_?key", re.IGNORECASE)

#: A secret in a longer text: what follows such a name, and the user name and password of a URL.
_SECRET_IN_TEXT = re.compile(
    r"((?:passw(?:or)?d|secret|token|credentials?|api_?key)=)[^\s,;&\"']+|(?<=://)[^/@\s]+(?=@)", re.IGNORECASE
)


@dataclass(frozen=True)
class Difference:
    """A value at ``place`` (of the body of ``POST /containers/create``) that two versions do not share.

    ``live`` and ``next`` are JSON values; None: that version does not have it.  Secrets in them are masked, so both may look
    the same.  ``is_unknown``: whether they differ is known only later, and ``next`` says when.
    """

    place: str
    live: Any = None
    next: Any = None
    is_unknown: bool = False


def is_same(live: Recipe, following: Recipe) -> bool:
    """Return whether two versions are the same: the ID of the image, whatever its name, and the settings."""
    return live.image.id == following.image.id and not differences(live.options, following.options)


def differences(live: ContainerSpec, following: ContainerSpec) -> tuple[Difference, ...]:
    """Return what the container of the version that follows would have otherwise, in the order of the places."""
    old, new = _leaves(live), _leaves(following)
    found: list[Difference] = []
    for place in sorted({*old, *new}):
        found += _at(place, old.get(place, []), new.get(place, []))
    return tuple(found)


def recipe_differences(live: Recipe, following: Recipe) -> tuple[Difference, ...]:
    """Return what the version that follows has otherwise: its image, and its settings."""
    found = differences(live.options, following.options)
    if live.image.id == following.image.id:
        return found
    old, new = (f"{image.name.reference} ({image.id})" for image in (live.image, following.image))
    return (Difference(IMAGE, old, new), *found)


@dataclass(frozen=True)
class _Leaf:
    """One value; ``key`` is its name where it is one of several at its place.  ``value`` is never shown."""

    key: str
    value: str
    shown: Any


def _at(place: str, old: Sequence[_Leaf], new: Sequence[_Leaf]) -> Iterator[Difference]:
    before, after = {(leaf.key, leaf.value) for leaf in old}, {(leaf.key, leaf.value) for leaf in new}
    if before == after:
        # Some lists, such as that of DNS servers, have an order.
        if place not in _SETS and [leaf.value for leaf in old] != [leaf.value for leaf in new]:
            yield Difference(place, [leaf.shown for leaf in old], [leaf.shown for leaf in new])
        return
    removed = [leaf for leaf in old if (leaf.key, leaf.value) not in after]
    added = [leaf for leaf in new if (leaf.key, leaf.value) not in before]
    for leaf in removed:
        successor = next((one for one in added if one.key == leaf.key), None)
        if successor is not None:
            added.remove(successor)
        yield Difference(place, leaf.shown, None if successor is None else successor.shown)
    for leaf in added:
        yield Difference(place, None, leaf.shown)


def _leaves(spec: ContainerSpec) -> Mapping[str, list[_Leaf]]:
    """Return the values of a specification by their places."""
    found: dict[str, list[_Leaf]] = {}
    places: dict[str, Any] = {
        COMMAND: list(spec.command),
        PORTS: sorted(map(str, spec.ports)),
        BINDS: sorted(spec.volumes.binds),
        VOLUMES: sorted(spec.volumes.anonymous),
        PLATFORM: spec.platform,
        # As JSON has them: the settings of a running version were stored so.
        **json.loads(json.dumps(dict(spec.settings))),
    }
    for place, value in places.items():
        for where, leaf in _flat(place, value):
            found.setdefault(where, []).append(leaf)
    # The last entry of a variable counts.
    env = {entry.partition("=")[0]: entry for entry in spec.env}
    if env:
        found[ENV] = [_Leaf(name, env[name], f"{name}={_MASK}" if "=" in env[name] else name) for name in sorted(env)]
    return found


def _flat(place: str, value: Any) -> Iterator[tuple[str, _Leaf]]:
    if value in (None, "", [], {}):
        return
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _pair(place, key, value[key])
    elif isinstance(value, list) and place not in WHOLE:
        for one in value:
            yield place, _Leaf(_name_of(one), _text(one), _masked(one))
    else:
        yield place, _Leaf("", _text(value), _masked(value))


def _pair(place: str, key: str, value: Any) -> Iterator[tuple[str, _Leaf]]:
    if value in (None, [], {}):
        # As of a port that is exposed: its name is all that there is.
        yield place, _Leaf(key, "", key)
    elif isinstance(value, str):
        is_secret = place == _LOG_OPTIONS or _SECRET_NAME.search(key)
        yield place, _Leaf(key, value, f"{key}={_MASK if is_secret else _masked(value)}")
    else:
        yield from _flat(f"{place}.{key}", value)


def _name_of(value: Any) -> str:
    """Return what an entry of a list is known by, so that a change of it is one difference: a limit's name, a mount's target."""
    if isinstance(value, Mapping):
        return str(next((value[key] for key in ("Name", "Target", "PathInContainer", "Path") if key in value), ""))
    return _text(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _masked(value: Any) -> Any:
    """Return a value without the secrets in it."""
    if isinstance(value, str):
        return _SECRET_IN_TEXT.sub(lambda found: f"{found[1] or ''}{_MASK}", value)
    if isinstance(value, Mapping):
        return {key: _MASK if _SECRET_NAME.search(key) else _masked(one) for key, one in value.items()}
    if isinstance(value, Iterable):
        return [_masked(one) for one in value]
    return value
