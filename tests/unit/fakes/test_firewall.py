"""The fake firewall keeps the contract that the real one keeps."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.contract import firewall as contract
from tests.fakes.firewall import FakeFirewall


class FakeFirewallTests(contract.FirewallContract):
    """With the programs of tests/fakes."""

    def setUp(self) -> None:
        """An empty table."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.environ = FakeFirewall(Path(folder.name)).environ

    def saved(self) -> str:
        """The table as it is now."""
        return self.program("iptables-save")

    def restore(self, lines: str) -> None:
        """Change the table behind hanoverd's back."""
        self.program("iptables-restore", lines)

    def program(self, name: str, stdin: str = "") -> str:
        """Run one of the programs."""
        path = Path(self.environ["PATH"], name)
        return subprocess.run([path], input=stdin, capture_output=True, text=True, check=True).stdout
