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
        self.environ = {"PATH": str(folder)}
        self._failing = {name: folder / f"{name}.fails" for name in ("iptables-save", "iptables-restore")}
        # -I -S: nothing of the environment is looked at, which makes it quick.
        restore = f"exec {sys.executable} -I -S {table.__file__} {self._table}"
        for name, command in (
            ("iptables-save", f"exec /bin/cat {self._table}"),
            ("iptables-restore", restore),
            ("conntrack", "exit 0"),
        ):
            program = folder / name
            refusal = f"echo '{name} (a fake): Permission denied (you must be root)' >&2; exit 4"
            once = f"if [ -e {program}.once ]; then /bin/rm {program}.once; {refusal}; fi"
            always = f"if [ -e {program}.fails ]; then {refusal}; fi"
            program.write_text(f"#!/bin/sh\n{once}\n{always}\n{command}\n")
            program.chmod(0o755)

    def fail(self, program: str, *, fails: bool = True) -> None:
        """Have ``iptables-save`` or ``iptables-restore`` refuse everything from now on, or no longer."""
        if fails:
            self._failing[program].touch()
        else:
            self._failing[program].unlink(missing_ok=True)

    def fail_once(self, program: str) -> None:
        """Have ``iptables-save`` or ``iptables-restore`` refuse what it is asked for next."""
        (self._table.parent / f"{program}.once").touch()

    def rules(self) -> list[str]:
        """The rules and chains that are not the table's own."""
        return [line for line in self._table.read_text().splitlines() if "HANOVERD" in line]
