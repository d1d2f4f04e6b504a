"""What all sources of images share: reading an image that the engine has."""

from __future__ import annotations

from hanoverd.edges.engine import Engine
from hanoverd.model.container import Image
from hanoverd.model.images import ImageName


async def image_of(engine: Engine, name: ImageName, image_id: str | None = None) -> Image:
    """The image that ``name`` means now, or the one of ``image_id``, known as ``name``; fails with ``NotFound``."""
    found = await engine.inspect_image(image_id or name.reference)
    exposed = (found.get("Config") or {}).get("ExposedPorts") or {}
    ports = sorted(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp"))
    return Image(found["Id"], name, tuple(ports))
