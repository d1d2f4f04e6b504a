"""What the next handover would change about the live version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import requested_recipe
from hanoverd.images import Source
from hanoverd.images.foresight import foresee, image_difference
from hanoverd.runtime.errors import NotFound
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.differences import Difference, differences


async def next_differences(
    engine: Engine, container: str, source: Source, following: ContainerSpec
) -> tuple[Difference, ...]:
    """Return what a version of what ``source`` has, with the options ``following``, would have otherwise than ``container``.

    Nothing is built or pulled; see ``foresee``, also for the errors and cancel.
    """
    found = await engine.inspect_container(container)
    live = requested_recipe(found, await _image_of(engine, found))
    image = image_difference(live.image, await foresee(source))
    return (*(() if image is None else (image,)), *differences(live.options, following))


async def _image_of(engine: Engine, found: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return await engine.inspect_image(found["Image"])
    except NotFound:
        # It was removed by force.  The container itself has most of it.
        return {}
