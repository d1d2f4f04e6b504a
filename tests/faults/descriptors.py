"""Faults of the daemon's limits: for a moment it cannot open another file descriptor."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from resource import RLIMIT_NOFILE, prlimit

from tests.faults.requests import kill_and_recover
from tests.faults.site import Site


@contextmanager
def exhausted(site: Site) -> Iterator[None]:
    """Make every open, socket and pipe of hanoverd fail with EMFILE."""
    pid = site.daemon.pid
    soft, hard = prlimit(pid, RLIMIT_NOFILE)
    there = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    # The kernel uses the lowest free number, and refuses numbers from the limit on (getrlimit(2)).
    prlimit(pid, RLIMIT_NOFILE, (next(number for number in itertools.count() if number not in there), hard))
    try:
        yield
    finally:
        prlimit(pid, RLIMIT_NOFILE, (soft, hard))


def alone(site: Site) -> str:
    """While nothing else happens; afterwards the rules are still repaired, and a death is still noticed."""
    with exhausted(site):
        time.sleep(site.chance.uniform(1, 2))
    site.have_rules_repaired()
    kill_and_recover(site)
    return ""


def in_a_handover(site: Site) -> str:
    """At any moment of a handover."""
    when = site.hand_over_until()
    mark = site.mark()
    with exhausted(site):
        time.sleep(site.chance.uniform(0.7, 1.5))
    site.handover_after(mark - 1, within=40)
    site.have_rules_repaired()
    return when


def in_a_drain(site: Site) -> str:
    """While a version drains; its last request is still answered."""
    seconds = site.chance.uniform(2, 4)
    with site.slow_request(seconds) as client:
        site.hand_over()
        time.sleep(site.chance.uniform(0, 1))
        with exhausted(site):
            time.sleep(site.chance.uniform(0.7, 1.5))
        assert client.wait(seconds + 10) == 0, "the request of the draining version was cut"
    return f"a request of {seconds:.1f} s"
