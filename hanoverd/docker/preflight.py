"""What is checked of the engine at the start, while errors still reach the terminal."""

from __future__ import annotations

from hanoverd.docker.abort import Abort
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import choose_api_version
from hanoverd.docker.blocking_engine import BlockingEngine


def check_engine(address: EngineAddress) -> None:
    """Fail with the ``EngineError`` family unless an engine with a usable API version answers.

    It blocks: it runs before the reactor does.
    """
    choose_api_version(BlockingEngine(address, "1.24", Abort()).version())
