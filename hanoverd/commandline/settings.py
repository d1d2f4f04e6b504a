"""What the user wants, as values: made by ``parse``, read by the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hanoverd.model.images import ImageName
from hanoverd.model.publish import Publish


@dataclass(frozen=True)
class Settings:
    """A command line that was found to be right.

    ``folder`` is absolute: the current one at the start.  ``image`` None means to build the Dockerfile there.
    An empty ``command`` is the image's own.  Timeouts are in seconds; a ``stop_timeout`` of -1 is for ever,
    and None, here and for the signals, leaves it to the image and the engine.
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
