"""The requests that only the question at the start needs; see ``question``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.spec.engine_setup import EngineSetup

#: A tar without files (the pax format's end of an archive: POSIX, pax).
_EMPTY_TAR = bytes(1024)


class QuestionEngine(BlockingEngine):
    """The engine, as far as it is asked at the start."""

    def inspect_network(self, name: str) -> Mapping[str, Any]:
        """Return a network; fails with ``NotFound``."""
        with self._connect(f"inspect the network {name}") as client:
            answer: Mapping[str, Any] = client.inspect_network(name)
            return answer

    def inspect_volume(self, name: str) -> Mapping[str, Any]:
        """Return a volume; fails with ``NotFound``."""
        with self._connect(f"inspect the volume {name}") as client:
            answer: Mapping[str, Any] = client.inspect_volume(name)
            return answer

    def is_in_swarm(self) -> bool:
        """Return whether the engine is a node of a swarm, and so may use networks that it does not list."""
        with self._connect("get the state of the Docker engine") as client:
            state: str = (client.info().get("Swarm") or {}).get("LocalNodeState", "")
            return state not in ("", "inactive")

    def setup(self) -> EngineSetup:
        """Return how the engine is set up."""
        with self._connect("get the state of the Docker engine") as client:
            state = client.info()
            # From API 1.49.
            firewall = (state.get("FirewallBackend") or {}).get("Driver") or ""
            return EngineSetup(str(state.get("ServerVersion") or ""), str(firewall))

    def import_empty_image(self, key: str, value: str) -> str:
        """Make an image without files, name and layers, with the label ``key``; return its ID."""
        with self._connect("import an empty image") as client:
            answer: str = client.import_image_from_data(_EMPTY_TAR, changes=f"LABEL {key}={json.dumps(value)}")
            image_id: str = json.loads(answer.splitlines()[-1])["status"]
            return image_id

    def images_with(self, label: str) -> list[str]:
        """Return the IDs of all images with the label ``KEY=VALUE``."""
        with self._connect("list the images") as client:
            return [image["Id"] for image in client.images(filters={"label": label})]
