"""The files that the page loads: its style, its program and its icon.  Each has a URL that changes with its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file.  ``version`` is a hash of ``body``: what has the same ``url`` can be kept for ever."""

    name: str
    body: bytes
    content_type: str
    version: str

    @property
    def url(self) -> str:
        """Where the page loads it from."""
        return f"/static/{self.name}?v={self.version}"


@cache
def assets() -> Mapping[str, Asset]:
    """Return all files by their names.  They are read once.  Fails with ``OSError`` if the installation is not complete."""
    return MappingProxyType({path.name: _asset(path) for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES})


def _asset(path: Path) -> Asset:
    body = path.read_bytes()
    return Asset(path.name, body, _TYPES[path.suffix], sha256(body).hexdigest()[:16])
