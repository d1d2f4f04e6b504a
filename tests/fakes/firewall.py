"""A firewall in a file, with the programs ``iptables-save``, ``iptables-restore`` and ``conntrack`` to reach it."""

from __future__ import annotations

import sys
from pathlib import Path

_TABLE = Path(__file__).with_name("table.py")


class FakeFirewall:
    """The programs are in ``folder``, to be put on PATH."""

    def __init__(self, folder: Path) -> None:
        self._table = folder / "table"
        self._fails = folder / "fails"
        self.environ = {"PATH": str(folder)}
        for name in ("iptables-save", "iptables-restore"):
            program = folder / name
            # -I -S: nothing of the environment is looked at, which makes it quick.
            program.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {_TABLE} {name} {self._table} {self._fails}\n")
            program.chmod(0o755)
        conntrack = folder / "conntrack"
        conntrack.write_text("#!/bin/sh\nexit 0\n")
        conntrack.chmod(0o755)

    def fail(self, *, fails: bool) -> None:
        """Have ``iptables-restore`` refuse everything from now on, or no longer."""
        if fails:
            self._fails.touch()
        else:
            self._fails.unlink(missing_ok=True)

    def rules(self) -> list[str]:
        """The rules and chains that are not the table's own."""
        lines = self._table.read_text().splitlines() if self._table.exists() else []
        return [line for line in lines if "HANOVERD" in line]
