"""What is checked of the engine at the start, while errors still reach the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import choose_api_version
from hanoverd.docker.blocking_engine import BlockingEngine
from hanoverd.docker.option_versions import check_options
from hanoverd.docker.question import ask
from hanoverd.docker.question_engine import QuestionEngine
from hanoverd.runtime.errors import EngineError, NotFound
from hanoverd.runtime.signals import signals_held
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.engine_setup import EngineSetup


def check_engine(address: EngineAddress, settings: Mapping[str, Any]) -> str:
    """Return the API version to use.

    Fails with the ``EngineError`` family unless an engine answers whose API version has all ``settings`` of a container.
    It blocks: it runs before the reactor does.
    """
    api_version = choose_api_version(BlockingEngine(address, "1.24", Abort()).version())
    check_options(settings, api_version)
    return api_version


def ask_engine(address: EngineAddress, api_version: str, app: str, options: ContainerSpec) -> None:
    """Fail with ``RequestRefused`` if the engine would not create containers with ``options``; blocks.  See ``question``.

    SIGTERM and SIGINT take effect when nothing of the question is left.
    """
    engine = QuestionEngine(address, api_version, Abort())
    with signals_held():
        ask(engine, app, options, sees_devices=address.url.startswith("unix://"))


def ask_setup(address: EngineAddress, api_version: str) -> EngineSetup:
    """Return how the engine is set up; nothing is known of one that does not say.  Blocks."""
    try:
        return QuestionEngine(address, api_version, Abort()).setup()
    except EngineError:
        # A proxy before the engine may forbid this request: it is for advice only.
        return EngineSetup()


def find_container(address: EngineAddress, api_version: str, container_id: str) -> Mapping[str, Any] | None:
    """Return a container, as the engine describes it; None if there is none.  Fails and blocks as ``check_engine``."""
    try:
        return BlockingEngine(address, api_version, Abort()).inspect_container(container_id)
    except NotFound:
        return None
