"""Specifications as plain data for JSON, and back.

The data includes secrets: store it only where other users cannot read it.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

_T = TypeVar("_T")

#: How the types that JSON does not have are written and read.
_WRITERS: dict[type, Callable[[Any], Any]] = {
    range: lambda numbers: [numbers.start, numbers.stop],
    IPv4Address: str,
    IPv6Address: str,
}
_READERS: dict[type, Callable[[Any], Any]] = {
    range: lambda ends: range(*ends),
    IPv4Address: IPv4Address,
    IPv6Address: IPv6Address,
    float: float,
}


def to_plain(value: Any) -> Any:
    """Return ``value``, a specification or a part of one, as dicts, lists, texts, numbers, booleans and None."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return _WRITERS[type(value)](value) if type(value) in _WRITERS else value


def from_plain(kind: type[_T], data: Any) -> _T:
    """Return the specification of type ``kind`` that ``to_plain`` made ``data`` of; ValueError for other data."""
    try:
        made: _T = _read(kind, data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"this is not the data of a {kind.__name__}: {error}") from None
    return made


def _read(kind: Any, data: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _read_union(arguments, data)
    if origin is tuple:
        kinds = arguments[:1] * len(data) if arguments[-1] is Ellipsis else arguments
        return tuple(_read(one, item) for one, item in zip(kinds, data, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(arguments[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, data)
    return data if kind is Any else _read_simple(kind, data)


def _read_dataclass(kind: Any, data: Any) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: _read(hints[name], item) for name, item in data.items()})


def _read_simple(kind: type, data: Any) -> Any:
    if kind in _READERS or issubclass(kind, Enum):
        return _READERS.get(kind, kind)(data)
    if type(data) is not kind:
        raise TypeError(f"{data!r} is not of type {kind.__name__}")
    return data


def _read_union(kinds: tuple[Any, ...], data: Any) -> Any:
    if data is None and types.NoneType in kinds:
        return None
    errors = []
    for kind in kinds:
        try:
            return _read(kind, data)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            errors.append(str(error))
    raise ValueError("; ".join(errors))
