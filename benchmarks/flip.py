"""The time of a flip against the number of published ports, and against the number of apps on the host.

usage: python -m benchmarks.flip [--engine 26|28] [--iptables nft|legacy] [--rounds N] [--ports N,...] [--apps N,...]
       (as root, from the project's root; by default 5 rounds, 1, 10, 100 and 500 ports, and 1, 10 and 100 apps)

In a lab of its own (see tests/lab), hanoverd replaces an app ROUNDS times for each number. The rules of other apps are copies
of the app's own for other ports, put into the table ahead of it, without the apps. Prints medians, in milliseconds:

* the flip, as hanoverd has recorded it: from the version's readiness until iptables-restore has exited,
* the first flip, which replaces no rules,
* the same commit, to copies of the app's chains, by iptables-restore alone, from its start to its exit; and the shortest that
  there is, of no change,
* how long the engine takes to start the container with the ports, as hanoverd publishes them: on loopback,
* and how long with the same number of ports published by the engine itself, at all addresses (measured once).
"""

from __future__ import annotations

import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM

from benchmarks.lab import lab_of, parser_for
from tests.lab.api import call, get_json
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import write_app

#: The first of the ports that are published, that the engine publishes itself, and of the copies of the rules.
FIRST, ENGINES_FIRST, COPIES_FIRST = 8000, 18000, 28000

#: When the app is ready, in seconds after its start: an engine that has just started a program for each port leaves no processor
#: for the flip.
READY_AFTER = "2"

#: How long one handover, or the end, may take, in seconds: an engine runs several programs for each port.
WITHIN = 300


@dataclass
class Times:
    """What was measured for one number, in milliseconds."""

    first: float = 0
    flips: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)
    #: None where it was not measured.
    engines_own: float | None = None


def phase(lab: Lab, version: str, name: str) -> float:
    """Return how long a phase of the handover to a version took, as the daemon has recorded it, in milliseconds."""
    history = get_json(str(lab.runtime / f"{version.rpartition('-')[0]}.sock"), "/history")
    [seconds] = [
        one["seconds"]
        for record in history
        if record["version"] == version
        for one in record["phases"]
        if one["phase"] == name
    ]
    return float(seconds) * 1000


def restore_milliseconds(lab: Lab, changes: str) -> float:
    """Run iptables-restore, and return how long it takes."""
    argv = lab.in_host(["iptables-restore", "--noflush", "--wait", "5"])
    begun = time.monotonic()
    subprocess.run(argv, input=changes, text=True, check=True)
    return (time.monotonic() - begun) * 1000


def rules_of(lab: Lab, app: str) -> list[str]:
    """Return the lines of iptables-save with an app's rules, without the jumps to them."""
    return [line for line in lab.iptables_save().splitlines() if line.startswith(f"-A HANOVERD-{app}-")]


def chains_in(rules: list[str]) -> list[str]:
    """Return the changes that create, or empty, the chains of these rules."""
    return [f":{chain} - [0:0]" for chain in sorted({rule.split()[1] for rule in rules})]


def commit_of(changes: list[str]) -> str:
    """Return the input of iptables-restore."""
    return "\n".join(["*nat", *changes, "COMMIT", ""])


def alone(lab: Lab, app: str, rounds: int) -> list[float]:
    """Replace copies of the app's rules, by iptables-restore alone; they are removed at the end."""
    rules = [rule.replace(f"HANOVERD-{app}-", "COPY-") for rule in rules_of(lab, app)]
    changes = commit_of([*chains_in(rules), *rules])
    # The first one replaces nothing.
    times = [restore_milliseconds(lab, changes) for _ in range(rounds + 1)][1:]
    chains = chains_in(rules)
    restore_milliseconds(lab, commit_of([*chains, *(f"-X {chain[1:].split()[0]}" for chain in chains)]))
    return times


def add_apps(lab: Lab, app: str, numbers: range) -> None:
    """Put in the rules of other apps: copies of this one's for other ports, with jumps ahead of this one's."""
    saved = lab.iptables_save().splitlines()
    jumps = [line for line in saved if re.search(rf"-j HANOVERD-{app}-", line) and line.startswith("-A ")]
    own = rules_of(lab, app)
    for number in numbers:
        other = f"HANOVERD-other{number}-"
        rules = [
            rule.replace(f"HANOVERD-{app}-", other).replace(f"--dport {FIRST} ", f"--dport {COPIES_FIRST + number} ")
            for rule in own
        ]
        ahead = [re.sub("^-A", "-I", jump).replace(f"HANOVERD-{app}-", other) for jump in jumps]
        restore_milliseconds(lab, commit_of([*chains_in(rules), *rules, *ahead]))


def engines_own(lab: Lab, image: str, ports: int) -> float:
    """Return how long the engine takes to start a container with ports that it publishes itself, in milliseconds."""
    body = {
        "Image": image,
        "ExposedPorts": {f"{FIRST + number}/tcp": {} for number in range(ports)},
        "HostConfig": {
            "PortBindings": {
                f"{FIRST + number}/tcp": [{"HostPort": str(ENGINES_FIRST + number)}] for number in range(ports)
            }
        },
    }
    socket = lab.engine.socket
    status, answer = call(socket, "POST", "/containers/create?name=engines-own", body)
    assert status == 201, answer
    try:
        begun = time.monotonic()
        status, answer = call(socket, "POST", "/containers/engines-own/start", timeout=WITHIN)
        assert status == 204, answer
        return (time.monotonic() - begun) * 1000
    finally:
        call(socket, "DELETE", "/containers/engines-own?force=1", timeout=WITHIN)


def replace(lab: Lab, hanoverd: Daemon, app: str, numbers: range, times: Times) -> None:
    """Do handovers to these versions, and note how long their phases took."""
    for number in numbers:
        version = f"{app}-{number}"
        hanoverd.hup()
        hanoverd.wait_live(version, timeout=WITHIN)
        hanoverd.wait_gone(f"{app}-{number - 1}", timeout=WITHIN)
        times.flips.append(phase(lab, version, "routed"))
        times.starts.append(phase(lab, version, "started"))


def against_ports(lab: Lab, folder: Path, ports: int, rounds: int) -> Times:
    """Measure flips of an app with so many published ports."""
    app = f"ports{ports}"
    numbers = ",".join(str(FIRST + number) for number in range(ports))
    write_app(folder / app, expose=(FIRST,), env={"PORTS": numbers, "READY_AFTER": READY_AFTER})
    published = f"{FIRST}-{FIRST + ports - 1}"
    arguments = ["-p", f"{published}:{published}", "--keep-versions", "0"]
    times = Times()
    with Daemon(lab, arguments, folder / app) as hanoverd:
        hanoverd.wait_live(f"{app}-0", timeout=WITHIN)
        times.first = phase(lab, f"{app}-0", "routed")
        replace(lab, hanoverd, app, range(1, rounds + 1), times)
        times.alone = alone(lab, app, rounds)
        [container] = lab.containers(app)
        times.engines_own = engines_own(lab, container["ImageID"], ports)
        hanoverd.signal(SIGTERM)
        hanoverd.wait(WITHIN)
    return times


def against_apps(lab: Lab, folder: Path, numbers: list[int], rounds: int) -> dict[int, Times]:
    """Measure flips of an app with one port among so many apps on the host, itself included."""
    app = "one"
    write_app(folder / app, expose=(FIRST,), env={"PORTS": str(FIRST), "READY_AFTER": READY_AFTER})
    found: dict[int, Times] = {}
    present, versions = 1, 1
    with Daemon(lab, ["-p", f"{FIRST}:{FIRST}", "--keep-versions", "0"], folder / app) as hanoverd:
        hanoverd.wait_live(f"{app}-0")
        first = phase(lab, f"{app}-0", "routed")
        for apps in sorted(numbers):
            add_apps(lab, app, range(present, apps))
            present, found[apps] = apps, Times(first if apps == 1 else 0)
            replace(lab, hanoverd, app, range(versions, versions + rounds), found[apps])
            versions += rounds
            found[apps].alone = alone(lab, app, rounds)
    return found


def print_table(title: str, columns: dict[int, Times]) -> None:
    """Print what was measured, with a column for each number."""
    print(title.ljust(44), *(str(number).rjust(9) for number in columns))
    rows: dict[str, Callable[[Times], float | None]] = {
        "a flip": lambda times: statistics.median(times.flips),
        "the slowest": lambda times: max(times.flips),
        "the first flip": lambda times: times.first or None,
        "iptables-restore alone": lambda times: statistics.median(times.alone),
        "the engine starts the container": lambda times: statistics.median(times.starts),
        "the engine starts one with its own -p": lambda times: times.engines_own,
    }
    for row, values in rows.items():
        found = [values(times) for times in columns.values()]
        if any(value is not None for value in found):
            print(f"  {row}".ljust(44), *(("-" if value is None else f"{value:.1f}").rjust(9) for value in found))


def numbers_of(text: str) -> list[int]:
    """Read ``1,10,100``."""
    return [int(number) for number in text.split(",") if number]


def main() -> None:
    """Measure, and print the tables."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ports", type=numbers_of, default="1,10,100,500")
    parser.add_argument("--apps", type=numbers_of, default="1,10,100")
    options = parser.parse_args()
    with lab_of(options) as lab, tempfile.TemporaryDirectory() as name:
        by_ports = {ports: against_ports(lab, Path(name), ports, options.rounds) for ports in options.ports}
        by_apps = against_apps(lab, Path(name), options.apps, options.rounds)
        nothing = statistics.median(restore_milliseconds(lab, commit_of([])) for _ in range(10))
    print(f"medians of {options.rounds}, in ms; iptables-restore without a change: {nothing:.1f}")
    print_table("published ports", by_ports)
    print_table("apps on the host, one port each", by_apps)


if __name__ == "__main__":
    main()
