"""What all sources of images share: reading what the engine knows of an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.docker.inspection import exposed_tcp_ports
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName


def image_of(found: Mapping[str, Any], name: ImageName, revision: str | None = None, *, obtained: bool = True) -> Image:
    """The image that the engine describes as ``found``, called ``name`` from here on.

    ``obtained`` False: it was there before, and is not ours to remove.
    """
    ports = exposed_tcp_ports(found.get("Config") or {})
    return Image(found["Id"], name, ports, revision, obtained)
