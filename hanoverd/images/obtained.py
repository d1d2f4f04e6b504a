"""Reads the engine's description of an image; all sources use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.docker.inspection import exposed_tcp_ports
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName


def image_of(found: Mapping[str, Any], name: ImageName, revision: str | None = None, *, obtained: bool = True) -> Image:
    """Return the image that the engine describes as ``found``, with the name ``name``.

    ``obtained`` is False for an image that the engine had before; hanoverd does not remove it.
    """
    ports = exposed_tcp_ports(found.get("Config") or {})
    return Image(found["Id"], name, ports, revision, obtained)
