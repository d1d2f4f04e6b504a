"""An image by name: the one that the engine has, else pulled from its registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.edges.engine import Engine
from hanoverd.errors import EngineRefused, NotFound, ObtainFailed
from hanoverd.model.container import Image
from hanoverd.model.images import ImageName
from hanoverd.sources import Progress
from hanoverd.sources.images import image_of


class RegistrySource:
    """Obtains the image ``name``, pulling it if the engine does not have it."""

    def __init__(self, engine: Engine, name: ImageName) -> None:
        self._engine = engine
        self._name = name

    def describe(self) -> str:
        """What it will do, for the log."""
        return f"use the image {self._name.reference}"

    async def obtain(self, progress: Progress) -> Image:
        """Inspect, and pull where that finds nothing.  Cancel aborts the pull."""
        try:
            return await self._inspected()
        except NotFound:
            if not self._name.repository:
                raise ObtainFailed(
                    f"no image has the ID {self._name.reference}: name one that a registry has"
                ) from None
            await self._pull(progress)
        try:
            # The stream of a pull that was cut short looks like any other: only this proves that it worked.
            return await self._inspected()
        except NotFound:
            raise ObtainFailed(f"the pull of {self._name.reference} ended without the image") from None

    async def _inspected(self) -> Image:
        return image_of(await self._engine.inspect_image(self._name.reference), self._name)

    async def _pull(self, progress: Progress) -> None:
        errors: list[str] = []

        def on_event(event: Mapping[str, Any]) -> None:
            if "error" in event:
                errors.append(str(event["error"]))
            else:
                progress(_line(event))

        try:
            await self._engine.pull(self._name.repository, self._name.tag_or_digest, on_event)
        except EngineRefused as error:
            errors.append(str(error))
        if errors:
            raise ObtainFailed(
                f"cannot pull {self._name.reference}: {errors[-1]}. Check the name, that the registry answers, and "
                "that `docker login` was done for it"
            )


def _line(event: Mapping[str, Any]) -> str:
    """One event of a pull as Docker's client shows it: the layer, what is done with it, how far."""
    return ": ".join(str(event[key]) for key in ("id", "status") if event.get(key)) + (
        f" {event['progress']}" if event.get("progress") else ""
    )
