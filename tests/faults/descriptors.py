"""hanoverd can open nothing more for a moment: it has as many descriptors as it may have."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from resource import RLIMIT_NOFILE, prlimit

from tests.faults.requests import die_noticed
from tests.faults.site import Site


@contextmanager
def exhausted(site: Site) -> Iterator[None]:
    """Have the daemon that runs open nothing meanwhile."""
    pid = site.daemon.pid
    soft, hard = prlimit(pid, RLIMIT_NOFILE)
    there = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    # The limit is one of numbers: below the first that is free, none is.
    prlimit(pid, RLIMIT_NOFILE, (next(number for number in itertools.count() if number not in there), hard))
    try:
        yield
    finally:
        prlimit(pid, RLIMIT_NOFILE, (soft, hard))


def alone(site: Site) -> str:
    """While nothing else happens: rules and versions are still looked after."""
    with exhausted(site):
        time.sleep(site.chance.uniform(1, 2))
    site.have_rules_repaired()
    die_noticed(site)
    return ""


def in_a_handover(site: Site) -> str:
    """At any moment of one."""
    when = site.hand_over_until()
    mark = site.mark()
    with exhausted(site):
        time.sleep(site.chance.uniform(0.7, 1.5))
    site.handover_after(mark - 1, within=40)
    site.have_rules_repaired()
    return when


def in_a_drain(site: Site) -> str:
    """While a version drains, whose request is still answered."""
    seconds = site.chance.uniform(2, 4)
    with site.slow_request(seconds) as client:
        site.hand_over()
        time.sleep(site.chance.uniform(0, 1))
        with exhausted(site):
            time.sleep(site.chance.uniform(0.7, 1.5))
        assert client.wait(seconds + 10) == 0, "the request of the draining version was cut"
    return f"a request of {seconds:.1f} s"
