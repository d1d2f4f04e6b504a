"""What the user wants, as the command line says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hanoverd.model.images import ImageName
from hanoverd.model.publish import Publish


@dataclass(frozen=True)
class Settings:
    """Everything that can be chosen; durations in seconds.

    ``image`` None means: build the Dockerfile in ``folder``, which is absolute.  ``stop_timeout`` is in whole seconds,
    -1 for ever; None leaves it to Docker's default.
    """

    folder: str
    image: ImageName | None
    command: tuple[str, ...]
    app: str
    env: tuple[str, ...]
    publish: tuple[Publish, ...]
    binds: tuple[str, ...]
    anonymous_volumes: tuple[str, ...]
    mounts: tuple[Mapping[str, object], ...]
    status_uri: str
    status_timeout: float
    disable_overlap: bool
    overlap_grace: float
    drain_timeout: float
    drain_signal: str | None
    stop_timeout: int | None
    stop_signal: str | None
