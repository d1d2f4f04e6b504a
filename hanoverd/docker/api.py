"""Values of the Docker Engine API: logins, build requests, events, and the versions of the API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hanoverd.runtime.errors import EngineError

#: The oldest and the newest API version that hanoverd was tested with. It uses the newest version that the engine also
#: supports.
OLDEST_API, NEWEST_API = "1.41", "1.50"

#: One event of a build, pull, push or load.
Event = Mapping[str, Any]

#: Takes one event.
OnEvent = Callable[[Event], object]

#: A login for a registry, with the fields of the API's AuthConfig: ``username`` and ``password``, or ``identitytoken``.
Login = Mapping[str, str]


@dataclass(frozen=True)
class BuildRequest:
    """The options of a build. ``args`` are the build arguments, None for one that stays unset; ``platform`` is
    empty for the engine's own. ``logins`` are the logins for the base images, by registry.
    """

    tag: str
    dockerfile: str = "Dockerfile"
    args: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    target: str | None = None
    no_cache: bool = False
    platform: str = ""
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)


def choose_api_version(answer: Mapping[str, Any]) -> str:
    """Return the API version to use with an engine, from its answer to the request for its version.

    Fails with ``EngineError`` if hanoverd and the engine have no version in common.
    """
    newest: str = answer["ApiVersion"]
    oldest: str = answer.get("MinAPIVersion", "1.12")
    chosen = min(NEWEST_API, newest, key=_numbers)
    if _numbers(chosen) < max(_numbers(oldest), _numbers(OLDEST_API)):
        raise EngineError(
            f"this Docker engine ({answer.get('Version', 'unknown')}) supports the API versions {oldest} to {newest}, "
            f"and hanoverd {OLDEST_API} to {NEWEST_API}: upgrade the older of the two"
        )
    return chosen


def is_older(version: str, other: str) -> bool:
    """Return whether an API version is older than another."""
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]
