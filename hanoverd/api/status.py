"""The status of an app and of its versions, as daemons send it and commands show it.  Pure; it holds no secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hanoverd.docker.inspection import generation_of, image_in
from hanoverd.spec.container import Image
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.names import version_name

#: The states of an app.
LIVE, HANDING_OVER, DOWN, STOPPING, NO_DAEMON = "live", "handing over", "down", "stopping", "no daemon"


@dataclass(frozen=True)
class VersionStatus:
    """A version.  ``created`` is a Unix time.

    ``source`` and ``revision`` say what its image was made of, if that is known: the source of the image, and the commit or
    digest.  ``rollback_to`` is the version that it repeats, "" if it is not a rollback.
    """

    version: str
    number: int
    state: str
    image: str
    image_id: str
    source: str
    revision: str
    rollback_to: str
    created: float


@dataclass(frozen=True)
class LiveStatus(VersionStatus):
    """The live version: the address of its container, and the Unix time ``since`` which it is live."""

    address: str
    since: float


@dataclass(frozen=True)
class AppStatus:
    """An app.  Without a daemon, ``pid`` is None.

    ``held`` are the reasons of the triggers that are held, the newest ones, and ``held_count`` is the number of all of them.
    """

    app: str
    state: str
    live: LiveStatus | None
    ports: tuple[Mapping[str, object], ...]
    draining: tuple[str, ...]
    handover: Mapping[str, object] | None
    paused: bool
    held: tuple[str, ...]
    held_count: int
    kept: tuple[VersionStatus, ...]
    #: How often the rules were repaired.
    repairs: int
    pid: int | None
    hanoverd: str

    def json(self) -> dict[str, Any]:
        """Return it as it is sent."""
        return asdict(self)


def version_status(app: str, number: int, state: str, image: Image, lineage: Lineage, created: float) -> dict[str, Any]:
    """Return the fields of a ``VersionStatus``."""
    is_rollback = lineage.is_rollback and lineage.origin is not None
    return {
        "version": version_name(app, number),
        "number": number,
        "state": state,
        "image": image.name.reference,
        "image_id": image.id,
        "source": lineage.source,
        "revision": image.revision or "",
        "rollback_to": version_name(app, lineage.origin or 0) if is_rollback else "",
        "created": created,
    }


def listed_version(app: str, listed: Mapping[str, Any], state: str) -> VersionStatus:
    """Return a version as the engine lists its container."""
    labels = listed["Labels"] or {}
    number = generation_of(labels)
    image = image_in({"Image": listed["ImageID"], "Config": {"Labels": labels}})
    lineage = Lineage.of_labels(labels, number)
    return VersionStatus(**version_status(app, number, state, image, lineage, float(listed["Created"])))
