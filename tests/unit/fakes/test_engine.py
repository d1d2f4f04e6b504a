"""The fake engine keeps the contract that the real one keeps."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.contract import engine as contract
from tests.fakes.engine import FakeEngine


class FakeEngineTests(contract.EngineContract):
    """With the engine of tests/fakes."""

    port = 8471

    def setUp(self) -> None:
        """A fresh engine."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        engine = FakeEngine(Path(folder.name))
        engine.start()
        self.addCleanup(engine.stop)
        self.url = f"unix://{engine.socket}"
        self.begin()
