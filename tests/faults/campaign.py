"""Break one thing after another on a host that serves an app under load, and check that hanoverd recovers.

usage: python -m tests.faults.campaign [--faults N | --seconds N] [--seed N] [--only NAME]... [--tree DIR]
(as root, from the project's root)

Each fault (faults.py) happens while a daemon serves an app, and often during a handover: at a phase that its status shows,
or at any moment.  Then hanoverd must recover (checks.py) without help: it is only restarted if it has ended, as a service
manager does.  If it does not recover, the end of its log is printed, and the campaign continues on a fresh host.  Requests must not fail, except where the fault itself takes the app away, and each stop of
hanoverd must finish within a limit.  Prints a line for each fault, and a table; the exit status is 1 if there were failures.

The same seed makes the same faults, with the same random choices in each, whatever the results: use it to compare this
hanoverd with that of another checkout, DIR.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.basic import storm
from tests.faults.commands import blow
from tests.faults.fault import Fault
from tests.faults.faults import FAULTS
from tests.faults.pressure import Pressure
from tests.faults.site import Site, site, wait_for
from tests.faults.words import APP
from tests.lab.daemon import PROJECT

#: How often, of 1, a fault is followed by an undisturbed handover, and by a look at whether rules are still repaired.
AGAIN, REPAIRED = 0.1, 0.2

#: How often, of 1, a storm of SIGHUPs, or of commands, continues during a fault.
STORMS, COMMANDS = 0.2, 0.15

#: How much of hanoverd's log, of each of its last two runs, is printed if it does not recover, in characters.
TAIL = 4000


@dataclass
class Result:
    """The result of one fault; ``detail`` describes it, ``wrong`` is why hanoverd did not recover, "" if it did."""

    fault: Fault
    detail: str
    requests: int
    failed: int
    #: How long the recovery took, in seconds.
    seconds: float
    #: The errors that the clients saw, without repeats.
    errors: list[str]
    #: How long each stop took, in seconds.
    stops: list[float] = field(default_factory=list)
    #: By how much hanoverd's memory grew during it, in MiB, where that is measured.
    growth: list[float] = field(default_factory=list)
    wrong: str = ""
    log: str = ""

    @property
    def wrongly_failed(self) -> int:
        """Requests that should have been saved."""
        return 0 if self.fault.may_fail else self.failed

    @property
    def has_recovered(self) -> bool:
        """Whether hanoverd recovered, and lost no request."""
        return not self.wrong and not self.wrongly_failed

    def __str__(self) -> str:
        what = f"{self.fault.name} {self.detail}".strip()
        errors = "; ".join(self.errors[:3]) if self.wrongly_failed else ""
        end = f"NOT RECOVERED: {self.wrong}" if self.wrong else f"recovered after {self.seconds:5.2f} s"
        growth = f" +{max(self.growth):.1f} MiB " if self.growth else ""
        return f"{what:60} {self.requests:6} requests {self.failed:4} failed  {growth}{end} {errors}".rstrip()


@dataclass
class Sums:
    """All results, and what was left behind at the end."""

    results: list[Result] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Result]:
        """The faults from which hanoverd did not recover, or lost requests."""
        return [result for result in self.results if not result.has_recovered]

    def __str__(self) -> str:
        lines = [
            f"{'fault':40} {'times':>5} {'failures':>9} {'requests':>9} {'wrongly failed':>14} {'slowest stop':>12}"
        ]
        for name in sorted({result.fault.name for result in self.results}):
            some = [result for result in self.results if result.fault.name == name]
            if some:
                wrong = sum(not result.has_recovered for result in some)
                requests, failed = sum(one.requests for one in some), sum(one.wrongly_failed for one in some)
                slowest = max((stop for one in some for stop in one.stops), default=None)
                stop = "" if slowest is None else f"{slowest:.1f} s"
                lines.append(f"{name:40} {len(some):5} {wrong:9} {requests:9} {failed:14} {stop:>12}".rstrip())
        recovered = [result for result in self.results if not result.wrong]
        slowest_recovery = max(recovered, key=lambda result: result.seconds, default=None)
        stops = [(stop, result.fault.name) for result in self.results for stop in result.stops]
        lines.append(
            f"{len(self.failures)} of {len(self.results)} faults not recovered; "
            f"{sum(result.requests for result in self.results)} requests, "
            f"{sum(result.wrongly_failed for result in self.results)} failed that should have been saved"
        )
        if slowest_recovery is not None:
            lines.append(
                f"recovered within {slowest_recovery.seconds:.1f} s at the most ({slowest_recovery.fault.name})"
            )
        if stops:
            lines.append("slowest of {} stops: {:.1f} s ({})".format(len(stops), *max(stops)))
        growth = [(mebibytes, result.fault.name) for result in self.results for mebibytes in result.growth]
        if growth:
            lines.append("hanoverd's memory grew by {:.1f} MiB at the most ({})".format(*max(growth)))
        lines.append(f"left behind: {', '.join(self.left) or 'nothing'}")
        return "\n".join(lines)


def run(
    seed: int,
    continues: Callable[[int], bool],
    only: Sequence[str] = (),
    tree: Path = PROJECT,
    faults: Sequence[Fault] = FAULTS,
) -> Sums:
    """Run faults while ``continues`` returns true for their number so far; return all results.

    With ``only``, run only the faults whose names contain one of these.
    """
    sums = Sums()
    dealt = _dealt(seed, [fault for fault in faults if not only or any(name in fault.name for name in only)])
    while continues(len(sums.results)):
        with site(tree) as where:
            try:
                where.set_up()
                while continues(len(sums.results)):
                    where.chance = random.Random(f"{seed} {len(sums.results)}")
                    result = _one(where, next(dealt))
                    sums.results.append(result)
                    print(f"{len(sums.results):4} {result}", flush=True)
                    if result.log:
                        print(f"{result.log}\n", flush=True)
                    if result.wrong:
                        break
                else:
                    sums.left += _end(where)
            finally:
                where.kill_all()
    return sums


def _end(where: Site) -> list[str]:
    try:
        return where.tear_down()
    except Exception as error:
        # Whatever it is, the results are worth more than a traceback.
        return [f"no end: {type(error).__name__}: {error}"]


def _dealt(seed: int, faults: Sequence[Fault]) -> Iterator[Fault]:
    """Yield the faults without end, each round of them shuffled."""
    chance = random.Random(seed)
    while True:
        pack = [fault for fault in faults for _ in range(fault.weight)]
        chance.shuffle(pack)
        yield from pack


def _one(where: Site, fault: Fault) -> Result:
    load = where.load = Pressure(where.lab)
    where.stops, where.growth, where.note = [], [], ""
    load.start()
    time.sleep(0.1)
    detail, seconds, wrong, log = "", 0.0, "", ""
    try:
        detail = _happen(where, fault)
        seconds = where.wait_until_recovered()
        if where.chance.random() < AGAIN:
            # It can still hand over.
            where.hand_over()
            where.wait_until_recovered()
        if where.chance.random() < REPAIRED:
            where.have_rules_repaired()
    except Exception as error:
        # Whatever it is, hanoverd did not do what it must.
        detail = detail or where.note
        wrong = f"{type(error).__name__}: {error}".partition("\n")[0]
        log = where.log(TAIL)
    finally:
        load.finish()
    if load.failed and not fault.may_fail:
        log = log or where.log(TAIL)
    return Result(
        fault, detail, load.requests, load.failed, seconds, load.errors, where.stops, where.growth, wrong, log
    )


def _happen(where: Site, fault: Fault) -> str:
    """Have the fault happen, sometimes during a storm; return its description when both are over."""
    drawn, chance = where.chance.random(), random.Random(where.chance.random())
    if not fault.storms or drawn > STORMS + COMMANDS:
        return fault.happen(where)
    blows, name = (storm, "a storm of SIGHUPs") if drawn < STORMS else (blow, "a storm of commands")
    with ThreadPoolExecutor(1) as pool:
        blowing = pool.submit(blows, where, chance)
        detail = fault.happen(where)
        blowing.result()
    if blows is blow:
        # A pause survives a restart of hanoverd.
        wait_for(lambda: where.command("resume", APP).returncode == 0, "hanoverd resumes")
    return f"{detail}, in {name}".lstrip(", ")


def main(faults: Sequence[Fault] = FAULTS) -> None:
    """Run a campaign."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="only faults whose names contain this")
    parser.add_argument("--tree", type=Path, default=PROJECT, help="the checkout whose hanoverd it is")
    given = parser.parse_args()
    # So that its host is removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    end = time.monotonic() + given.seconds if given.seconds else None
    sums = run(
        given.seed,
        lambda count: time.monotonic() < end if end else count < given.faults,
        given.only,
        given.tree.resolve(strict=True),
        faults,
    )
    print(sums)
    sys.exit(1 if sums.failures or sums.left else 0)


if __name__ == "__main__":
    main()
