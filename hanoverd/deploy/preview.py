"""What the next handover would change about the live version."""

from __future__ import annotations

from hanoverd.docker.engine import Engine, image_of
from hanoverd.docker.inspection import requested_recipe
from hanoverd.images import Source
from hanoverd.images.foresight import foresee, image_difference
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.differences import Difference, differences


async def next_differences(
    engine: Engine, container: str, source: Source, following: ContainerSpec
) -> tuple[Difference, ...]:
    """Return what a version of what ``source`` has, with the options ``following``, would have otherwise than ``container``.

    Nothing is built or pulled; see ``foresee``, also for the errors and cancel.
    """
    found = await engine.inspect_container(container)
    live = requested_recipe(found, await image_of(engine, found))
    image = image_difference(live.image, await foresee(source))
    return (*(() if image is None else (image,)), *differences(live.options, following))
