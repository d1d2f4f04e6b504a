"""The real engine and the real firewall keep the contracts that the fakes keep."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract import engine, firewall
from tests.lab.host import Lab


class EngineTests(engine.EngineContract):
    """With the engine of the lab."""

    port = 80

    @pytest.fixture(autouse=True)
    def _in_the_lab(self, lab: Lab) -> None:
        self.url = lab.docker_host

    def setUp(self) -> None:
        """The lab's engine is there already."""
        self.begin()


class FirewallTests(firewall.FirewallContract):
    """With iptables on the lab's first host."""

    lab: Lab

    @pytest.fixture(autouse=True)
    def _in_the_lab(self, lab: Lab, tmp_path: Path) -> None:
        self.lab = lab
        # The programs as they are, but on that host.
        for program in ("iptables-save", "iptables-restore"):
            command = " ".join(lab.in_host([str(shutil.which(program))]))
            (tmp_path / program).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (tmp_path / program).chmod(0o755)
        self.environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def saved(self) -> str:
        """Return the present table."""
        return self.lab.iptables_save()

    def restore(self, lines: str) -> None:
        """Change the table as another program would."""
        subprocess.run(self.lab.in_host(["iptables-restore", "--noflush"]), input=lines, text=True, check=True)
