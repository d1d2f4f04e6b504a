"""A firewall in a file, with the programs ``iptables-save``, ``iptables-restore`` and ``conntrack`` to reach it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fakes import table

_EMPTY = table.shown({name: [] for name in table.BUILT_IN})


class FakeFirewall:
    """The programs are in ``folder``, to be put on PATH."""

    def __init__(self, folder: Path) -> None:
        self._table = folder / "table"
        self._table.write_text(_EMPTY)
        self._fails = folder / "fails"
        self.environ = {"PATH": str(folder)}
        # -I -S: nothing of the environment is looked at, which makes it quick.
        restore = f"exec {sys.executable} -I -S {table.__file__} {self._table} {self._fails}"
        for name, command in (
            ("iptables-save", f"exec /bin/cat {self._table}"),
            ("iptables-restore", restore),
            ("conntrack", "exit 0"),
        ):
            program = folder / name
            program.write_text(f"#!/bin/sh\n{command}\n")
            program.chmod(0o755)

    def fail(self, *, fails: bool) -> None:
        """Have ``iptables-restore`` refuse everything from now on, or no longer."""
        if fails:
            self._fails.touch()
        else:
            self._fails.unlink(missing_ok=True)

    def rules(self) -> list[str]:
        """The rules and chains that are not the table's own."""
        return [line for line in self._table.read_text().splitlines() if "HANOVERD" in line]
