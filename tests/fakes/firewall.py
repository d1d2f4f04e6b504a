"""A firewall in files, with the programs of iptables and ip6tables, and ``conntrack``, to reach it."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.fakes import table

_EMPTY = table.shown({name: [] for name in table.BUILT_IN})


class FakeFirewall:
    """The programs are in ``folder``, to be put on PATH; without ``with_ipv6``, those of ip6tables are missing."""

    def __init__(self, folder: Path, *, with_ipv6: bool = False) -> None:
        self._table, self._table6 = folder / "table", folder / "table6"
        self.environ = {"PATH": str(folder)}
        commands = {"conntrack": "exit 0"}
        for family, file in (("iptables", self._table), ("ip6tables", self._table6)):
            file.write_text(_EMPTY)
            if family == "iptables" or with_ipv6:
                commands[f"{family}-save"] = f"exec /bin/cat {file}"
                # -I -S: nothing of the environment is looked at, which makes it quick.
                commands[f"{family}-restore"] = f"exec {sys.executable} -I -S {table.__file__} {file}"
        self._failing = {name: folder / f"{name}.fails" for name in commands}
        for name, command in commands.items():
            program = folder / name
            refusal = f"echo '{name} (a fake): Permission denied (you must be root)' >&2; exit 4"
            once = f"if [ -e {program}.once ]; then /bin/rm {program}.once; {refusal}; fi"
            always = f"if [ -e {program}.fails ]; then {refusal}; fi"
            program.write_text(f"#!/bin/sh\n{once}\n{always}\n{command}\n")
            program.chmod(0o755)

    def fail(self, program: str, *, fails: bool = True) -> None:
        """Have a program refuse everything from now on, or no longer."""
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

    def rules6(self) -> list[str]:
        """The same for IPv6."""
        return [line for line in self._table6.read_text().splitlines() if "HANOVERD" in line]
