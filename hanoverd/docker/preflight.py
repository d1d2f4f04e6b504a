"""What is checked of the engine at the start, while errors still reach the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import choose_api_version
from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.docker.option_versions import check_options
from hanoverd.runtime.errors import NotFound


def check_engine(address: EngineAddress, settings: Mapping[str, Any]) -> None:
    """Fail with the ``EngineError`` family unless an engine answers whose API version has all ``settings`` of a container.

    It blocks: it runs before the reactor does.
    """
    check_options(settings, _api_version(address))


def find_container(address: EngineAddress, container_id: str) -> Mapping[str, Any] | None:
    """Return a container, as the engine describes it; None if there is none.  Fails and blocks as ``check_engine``."""
    try:
        return _connect(address).inspect_container(container_id)
    except NotFound:
        return None


def _connect(address: EngineAddress) -> BlockingEngine:
    return BlockingEngine(address, _api_version(address), Abort())


def _api_version(address: EngineAddress) -> str:
    return choose_api_version(BlockingEngine(address, "1.24", Abort()).version())
