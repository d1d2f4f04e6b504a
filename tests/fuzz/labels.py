"""The labels of containers: an image can have any, and a container has those of its image."""

from __future__ import annotations

import json
from typing import Any

from hanoverd.api.status import VersionStatus, listed_version
from hanoverd.docker.inspection import recipe_of
from hanoverd.spec.container import Recipe, create_body, record_of
from tests.fuzz.target import Target

_ID = f"sha256:{'a' * 64}"


class _NoLabels(Exception):
    """The input is not the JSON of labels."""


def _read(data: bytes) -> tuple[Recipe, VersionStatus]:
    try:
        labels = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _NoLabels("not JSON") from error
    if not isinstance(labels, dict) or not all(isinstance(text, str) for text in labels.values()):
        raise _NoLabels("not labels")
    config: dict[str, Any] = {"Labels": labels, "Cmd": ["x"], "Env": ["A=1", "B"], "StopSignal": "INT"}
    found = {"Image": _ID, "Config": config, "HostConfig": {"Memory": 5, "Ulimits": [{"Name": "core"}]}}
    listed = {"ImageID": _ID, "Labels": labels, "Created": 5}
    return recipe_of(found, {"Config": {"Env": ["A=0"]}}), listed_version("web", listed, "kept")


def _check(_: bytes, result: tuple[Recipe, VersionStatus]) -> None:
    recipe, status = result
    assert status.number >= -1
    assert len(record_of(recipe.options)) > 1
    # It can be created again.
    json.dumps(create_body("web", 1, "web-1", recipe))


LABELS = Target(
    "labels",
    _read,
    _check,
    refusals=(_NoLabels,),
    words=(
        *('"hanoverd.generation":"', '"hanoverd.given":"', '"hanoverd.origin":"', '"hanoverd.rollback":"true"'),
        *('"hanoverd.predecessors":"', '"hanoverd.image-name":"', '\\"env\\":', '\\"unset\\":', '\\"volumes\\":[]'),
        *('\\"command\\":true', '\\"settings\\":', '"HostConfig.Memory"', "\\u00b2"),
    ),
)
