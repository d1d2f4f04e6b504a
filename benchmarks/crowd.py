"""Many daemons on one engine that hand over at the same time, under load: what is lost, how long it takes, and their memory.

usage: python -m benchmarks.crowd [--engine 26|28] [--iptables nft|legacy] [--daemons N] [--waves N] [--pause SECONDS]
       (as root, from the project's root; by default 30 daemons, and 4 handovers of each)

In a lab of its own (see tests/lab). All daemons are started at the same time; then all are sent SIGHUP at the same time, WAVES
times. Each has an app and clients of its own: one on another host and one on the same, which send a request on a new connection
every SECONDS (0.05). Prints the number of requests and of those without a good answer, the times of the handovers and of the
flips in them, and the processor time and the memory of a daemon. Before, the engine alone builds, creates and starts as many containers at the same
time, WAVES times, without clients: that is the floor. Exits with 1 if a request was lost.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.handover import floor
from benchmarks.lab import lab_of, parser_for
from tests.lab.crowd import Member, crowd, hand_over_together
from tests.lab.host import Lab
from tests.lab.images import write_app

#: How long all daemons may take to start, or to hand over once, in seconds.
WITHIN = 240


def own_megabytes(member: Member) -> float:
    """Return the memory that a daemon alone uses: without files, such as libraries, which all daemons share."""
    status = Path(f"/proc/{member.hanoverd.pid}/status").read_text()
    found = re.search(r"^RssAnon:\s*(\d+) kB$", status, re.MULTILINE)
    assert found is not None, status
    return int(found[1]) / 1024


def processor_seconds(member: Member) -> float:
    """Return the processor time that a daemon and the programs it ran have used so far (proc_pid_stat(5))."""
    fields = Path(f"/proc/{member.hanoverd.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def floors(lab: Lab, folder: Path, number: int, waves: int) -> list[float]:
    """Return how long the engine alone takes for each of so many versions at the same time, in seconds."""
    write_app(folder)
    floor(lab, folder, 0)
    with ThreadPoolExecutor(number) as threads:
        return [
            sum(phases) / 1000
            for wave in range(waves)
            for phases in threads.map(partial(floor, lab, folder), range(wave * number, (wave + 1) * number))
        ]


def spread(title: str, values: Sequence[float], unit: str) -> None:
    """Print how values are distributed."""
    ordered = sorted(values)
    p95 = ordered[int(len(ordered) * 0.95)]
    print(
        f"  {title}".ljust(32),
        f"median {statistics.median(ordered):.2f} {unit}, 95 % within {p95:.2f}, the longest {ordered[-1]:.2f}",
    )


def main() -> int:
    """Measure, and print."""
    parser = parser_for(__doc__)
    parser.add_argument("--daemons", type=int, default=30)
    parser.add_argument("--waves", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.05)
    options = parser.parse_args()
    with lab_of(options) as lab, tempfile.TemporaryDirectory() as name:
        engine_alone = floors(lab, Path(name, "floor"), options.daemons, options.waves)
        begun = time.monotonic()
        with crowd(lab, Path(name), options.daemons, WITHIN) as members:
            all_live = time.monotonic()
            before = [processor_seconds(member) for member in members]
            outcomes = hand_over_together(lab, members, options.waves, options.pause, WITHIN)
            after = [processor_seconds(member) for member in members]
            memory = [own_megabytes(member) for member in members]
            problems = [
                f"{member.app}: {event.message}"
                for member in members
                for event in member.hanoverd.events("failed", "repaired", "repair_failed")
            ]
    requests, lost = (sum(one) for one in zip(*((one.requests, one.lost) for one in outcomes), strict=True))
    print(
        f"{options.daemons} daemons, live {all_live - begun:.1f} s after their start; {options.waves} handovers of each at once"
    )
    print(f"  {lost} of {requests:,} requests were lost")
    spread("the engine's floor", engine_alone, "s")
    spread("a handover", [seconds for outcome in outcomes for seconds in outcome.handovers], "s")
    spread("a flip", [seconds * 1000 for outcome in outcomes for seconds in outcome.flips], "ms")
    used = [(later - earlier) / options.waves for earlier, later in zip(before, after, strict=True)]
    spread("a daemon's processor time", used, "s a handover")
    spread("memory of a daemon", memory, "MB")
    for text in [*problems, *(f"{one.member.app}: {error}" for one in outcomes for error in one.errors)]:
        print(f"  {text}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
