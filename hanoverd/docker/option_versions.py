"""Options that an older engine would ignore without a word: Docker's client refuses them, and so does hanoverd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hanoverd.docker.api import is_older
from hanoverd.runtime.errors import EngineError

Settings = Mapping[str, Any]

#: Each option with whether settings have it, and the first API version that knows it (Docker Engine API, version history).
_FIRST_VERSIONS: tuple[tuple[str, Callable[[Settings], object], str], ...] = (
    ("annotation", lambda settings: settings.get("HostConfig.Annotations"), "1.43"),
    ("health-start-interval", lambda settings: settings.get("Healthcheck", {}).get("StartInterval"), "1.44"),
)


def check_options(settings: Settings, api_version: str) -> None:
    """Fail with ``EngineError``, in docker's words, for a setting of a container that ``api_version`` does not have."""
    for option, has, first in _FIRST_VERSIONS:
        if has(settings) and is_older(api_version, first):
            raise EngineError(
                f'"--{option}" requires API version {first}, but the Docker daemon API version is {api_version}: upgrade '
                "the Docker engine, or leave the option out"
            )
