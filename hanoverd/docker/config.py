"""The folder of Docker's client configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def config_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder that Docker's client uses: ``DOCKER_CONFIG``, or else ``~/.docker``."""
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/") / ".docker")
