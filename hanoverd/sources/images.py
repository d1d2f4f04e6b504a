"""What all sources of images share: reading what the engine knows of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.model.container import Image
from hanoverd.model.images import ImageName


def image_of(found: Mapping[str, Any], name: ImageName, revision: str | None = None) -> Image:
    """The image that the engine describes as ``found``, called ``name`` from here on."""
    exposed = (found.get("Config") or {}).get("ExposedPorts") or {}
    ports = sorted(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp"))
    return Image(found["Id"], name, tuple(ports), revision)
