"""Which capabilities the programs that hanoverd starts have."""

from __future__ import annotations

import os

import pytest
from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.runtime.capabilities import Keep, setpriv_command
from hanoverd.runtime.processes import ProcessReactor, run

REACTOR: ProcessReactor = reactor  # type: ignore[assignment]  # it provides the interface at run time
NET_ADMIN, EMPTY = f"{1 << 12:016x}", f"{0:016x}"


def status(*, inheritable: str = EMPTY, permitted: str = EMPTY, ambient: str = EMPTY) -> str:
    """The lines of /proc/self/status that matter (proc_pid_status(5))."""
    bounding = "000001ffffffffff"
    return f"CapInh:\t{inheritable}\nCapPrm:\t{permitted}\nCapBnd:\t{bounding}\nCapAmb:\t{ambient}\nNoNewPrivs:\t0\n"


@pytest.mark.parametrize("name", ["inheritable", "permitted", "ambient"])
def test_each_set_is_removed(name: str) -> None:
    command = setpriv_command(Keep.NOTHING, status(**{name: NET_ADMIN}), 1000)
    assert command == ["setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--"]


def test_root_would_regain_what_is_in_the_bounding_set() -> None:
    command = setpriv_command(Keep.NOTHING, status(permitted=NET_ADMIN), 0)
    assert command[-3:] == ["--no-new-privs", "--bounding-set=-all", "--"]
    command = setpriv_command(Keep.READING, status(permitted=NET_ADMIN), 0)
    assert command[-2:] == ["--bounding-set=-all,+dac_read_search", "--"]


def test_a_process_without_capabilities_needs_no_setpriv() -> None:
    assert setpriv_command(Keep.NOTHING, status(), 1000) == []


def test_what_changes_the_firewall_keeps_them() -> None:
    assert setpriv_command(Keep.EVERYTHING, status(permitted=NET_ADMIN), 0) == []


class RunTests(TestCase):
    """As the user of the test run."""

    async def capabilities(self, keep: Keep | None = None, **more: bool) -> list[int]:
        """The inheritable, permitted, effective, bounding and ambient set of a program."""
        chosen = {} if keep is None else {"keep": keep}
        ended = await run(REACTOR, ["cat", "/proc/self/status"], os.environ, **chosen, **more)  # type: ignore[arg-type]
        return [int(line.split()[1], 16) for line in ended.stdout.splitlines() if line.startswith("Cap")]

    async def test_a_program_has_no_capabilities_unless_it_needs_them(self) -> None:
        for with_children in (False, True):
            found = await self.capabilities(with_children=with_children)
            # Without CAP_SETPCAP, an ordinary user cannot empty the bounding set.
            self.assertEqual((found[:3], found[4]), ([0, 0, 0], 0))

    async def test_iptables_has_those_of_hanoverd(self) -> None:
        with open("/proc/self/status") as file:
            own = [int(line.split()[1], 16) for line in file if line.startswith("Cap")]
        self.assertEqual(await self.capabilities(Keep.EVERYTHING), own)
