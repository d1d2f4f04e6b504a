"""One fault after another, under load from the client host, and what came of it.

usage: python -m tests.faults.campaign [--faults N | --seconds N] [--seed N] [--only NAME]    (as root, from the project's root)

Each fault hits a daemon that serves an app and, mostly, is about to hand over: at a phase that its log tells, or at any
moment.  Then the world must become right again without a person: hanoverd is started again where it was killed, as a
service manager would, and that is all the help it gets.  Prints a line a fault, and the sums.  The same seed makes the same
faults.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.faults import FAULTS, Fault, storm
from tests.faults.site import APP, Site, site
from tests.lab.clients import Clients

#: How often a handover follows that is left in peace, of 1.
AGAIN = 0.1

#: How often a storm of SIGHUPs goes on meanwhile, of 1.
STORMS = 0.25


@dataclass
class Result:
    """What came of one fault, ``detail`` of which is for people."""

    fault: Fault
    detail: str
    requests: int
    failed: int
    seconds: float
    #: What the clients saw, once each.
    errors: list[str]

    def __str__(self) -> str:
        what = f"{self.fault.name} {self.detail}".strip()
        errors = "" if self.fault.may_fail else " ".join(self.errors)
        return (
            f"{what:50} {self.requests:6} requests {self.failed:4} failed  right after {self.seconds:5.2f} s {errors}"
        ).rstrip()


@dataclass
class Sums:
    """What came of all, and what was left behind at the end."""

    results: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def wrongly_failed(self) -> int:
        """Requests that should have been saved."""
        return sum(result.failed for result in self.results if not result.fault.may_fail)

    def __str__(self) -> str:
        kinds = Counter(result.fault.name for result in self.results)
        requests = sum(result.requests for result in self.results)
        failed = sum(result.failed for result in self.results)
        slowest = max(self.results, key=lambda result: result.seconds)
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        return (
            f"{len(self.results)} faults ({listed}); {requests} requests, {failed} failed, of which {self.wrongly_failed} "
            f"should have been saved; right again within {slowest.seconds:.1f} s at the most ({slowest.fault.name}); "
            f"left behind: {', '.join(self.left) or 'nothing'}"
        )


def run(seed: int, goes_on: Callable[[int], bool], only: str = "") -> Sums:
    """Fault after fault on a site of its own, for as long as ``goes_on`` says of their number; then the end.

    With ``only``, the faults whose names hold it.
    """
    chance = random.Random(seed)
    faults = [fault for fault in FAULTS if only in fault.name]
    sums = Sums()
    with site(chance) as where:
        where.begin()
        try:
            while goes_on(len(sums.results)):
                [fault] = chance.choices(faults, [fault.weight for fault in faults])
                sums.results.append(_one(where, fault))
                print(f"{len(sums.results):4} {sums.results[-1]}", flush=True)
        finally:
            sums.left = where.end()
    return sums


def _one(where: Site, fault: Fault) -> Result:
    clients = Clients(where.lab.in_client, where.lab.host_ip, "8080", "--workers", "2", "--pause", "0.005")
    time.sleep(0.1)
    blowing = None
    if fault.storms and where.chance.random() < STORMS:
        blowing = threading.Thread(target=storm, args=(where.daemon, random.Random(where.chance.random())))
        blowing.start()
    try:
        detail = fault.happen(where)
        if blowing is not None:
            blowing.join()
            detail = f"{detail}, in a storm".lstrip(", ")
        seconds = where.become_right()
        if where.chance.random() < AGAIN:
            # Still, after all of that, it hands over.
            before = len(where.daemon.log())
            where.write_app()
            where.daemon.hup()
            where.daemon.wait_for(rf"{APP}-\d+ is live", after=before)
            where.become_right()
    finally:
        counted = clients.finish()
    return Result(fault, detail, counted["requests"], counted["failed"] + counted["cut"], seconds, counted["errors"])


def main() -> None:
    """Run a campaign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="faults whose names hold this")
    given = parser.parse_args()
    end = time.monotonic() + given.seconds if given.seconds else None
    sums = run(given.seed, lambda count: time.monotonic() < end if end else count < given.faults, given.only)
    print(sums)
    sys.exit(1 if sums.wrongly_failed or sums.left else 0)


if __name__ == "__main__":
    main()
