"""The time of a handover, compared with the time of the same steps by the engine alone, in the same run.

usage: python -m benchmarks.handover [--engine 26|28] [ROUNDS]   (as root, from the project's root; 20 rounds by default)

In a lab of its own (see tests/lab), ROUNDS times in turn, for an app that is ready at once and for one that is ready 330 ms
after its start:

* the floor: a cached build, the same create, start, inspect, and the first answer, by plain requests to the engine;
* a handover: from SIGHUP to the first answer of the new version, asked from another host.

Both are asked every few milliseconds, from the moment at which the container is started; for the floor, the live version is asked
as well, because a handover's requests are answered by it at first.

Prints medians in milliseconds: both, the difference of each pair, which is what hanoverd adds, the time from the moment at
which the app listens to that first answer, and each phase of both.  The first answer can come before the end of the flip: the
new rules take effect before the program that sets them has exited.  Then the daemon's resident memory, its use of the
processor when idle, and the time of ``hanoverd --help``.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lab import lab_of, parser_for
from hanoverd.spec.container import ContainerSpec, Image, Recipe, create_body
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from tests.lab.api import call, get_json
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import write_app

#: The size of the build context of a small app.
PADDING_BYTES = 4_000_000

IDLE_SECONDS = 10

#: The kernel still removes a container's network after the engine has reported that the container is gone, and delays the
#: next start meanwhile.
SETTLE_SECONDS = 2.0

#: The phases of a handover; the floor has all but the last, and is ready with its first answer.
PHASES = ("obtained", "created", "started", "ready", "routed")

#: Reads an address, and sends requests until a certain version answers; prints when, and since when that version listens, by
#: the clock that all processes share.  The pause leaves the two processors to what is measured.
_ASK = """
import socket, time
host, port, wanted = input().split()
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    time.sleep(0.003)
    try:
        with socket.create_connection((host, int(port)), 5) as c:
            c.sendall(b"GET /since HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            answer = b""
            while data := c.recv(4096):
                answer += data
    except OSError:
        continue
    name, *since = answer.partition(b"\\r\\n\\r\\n")[2].split()
    if name == wanted.encode():
        print(time.monotonic(), float(since[0]))
        break
"""


@dataclass
class Times:
    """What was measured for one app, in milliseconds."""

    floors: list[float] = field(default_factory=list)
    handovers: list[float] = field(default_factory=list)
    after_readiness: list[float] = field(default_factory=list)
    floor_phases: list[Sequence[float]] = field(default_factory=list)
    phases: list[Sequence[float]] = field(default_factory=list)

    def added(self) -> list[float]:
        """What hanoverd adds to the floor, pair by pair."""
        return [ours - engines for ours, engines in zip(self.handovers, self.floors, strict=True)]


class Asking:
    """A process that sends a request every few milliseconds after ``begin``; it is ready when this returns."""

    def __init__(self, prefix: Sequence[str]) -> None:
        command = [*prefix, sys.executable, "-c", _ASK]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        time.sleep(0.3)

    def begin(self, host: str, port: int, wanted: str) -> None:
        """Ask for the version ``wanted``."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{host} {port} {wanted}\n")
        self._process.stdin.flush()

    def answered(self) -> tuple[float, float]:
        """When the first answer of the version came, and since when that had been listening."""
        out, _ = self._process.communicate()
        answered, since = out.split()
        return float(answered), float(since)

    def end(self) -> None:
        """Stop asking."""
        self._process.kill()
        self._process.communicate()


def floor(lab: Lab, folder: Path, number: int) -> Sequence[float]:
    """The engine's own time for one version, in milliseconds, by phases."""
    name = f"floor-{number}"
    asking, others = Asking(lab.in_host([])), Asking(lab.in_client([]))
    time.sleep(SETTLE_SECONDS)
    times = [time.monotonic()]
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)
        call(lab.engine.socket, "POST", "/build?t=floor&rm=1", buffer.getvalue())
    image = Image(
        json.loads(lab.docker("GET", "/images/floor/json")[1])["Id"], ImageName("floor"), (ContainerPort(80),)
    )
    times.append(time.monotonic())
    body = create_body("floor", number, name, Recipe(image, ContainerSpec(ports=(ContainerPort(80),))))
    lab.docker("POST", f"/containers/create?name={name}", body)
    times.append(time.monotonic())
    lab.docker("POST", f"/containers/{name}/start")
    address = json.loads(lab.docker("GET", f"/containers/{name}/json")[1])["NetworkSettings"]["IPAddress"]
    times.append(time.monotonic())
    # The live version is asked meanwhile, as in a handover: its answers take processor time from the new one.
    others.begin(lab.host_ip, 8080, name)
    asking.begin(address, 80, name)
    answered, _ = asking.answered()
    others.end()
    times.append(answered)
    lab.docker("DELETE", f"/containers/{name}?force=1")
    return [(later - earlier) * 1000 for earlier, later in itertools.pairwise(times)]


def handover(lab: Lab, hanoverd: Daemon, name: str) -> tuple[float, float]:
    """From SIGHUP, and from the app's readiness, to the first answer of the version ``name``, in milliseconds."""
    asking = Asking(lab.in_client([]))
    time.sleep(SETTLE_SECONDS)
    begun = time.monotonic()
    hanoverd.hup()
    # As for the floor: before that, the requests would only take the processors from the engine.
    hanoverd.wait_event("started", version=name)
    asking.begin(lab.host_ip, 8080, name)
    answered, since = asking.answered()
    return (answered - begun) * 1000, (answered - since) * 1000


def phases(lab: Lab, name: str) -> Sequence[float]:
    """The phases of the handover to the version ``name`` as the daemon has recorded them, in milliseconds."""
    history = get_json(str(lab.runtime / f"{name.rpartition('-')[0]}.sock"), "/history")
    [times] = [
        {phase["phase"]: phase["seconds"] * 1000 for phase in record["phases"]}
        for record in history
        if record["version"] == name
    ]
    return [times[phase] for phase in PHASES]


def measure(lab: Lab, folder: Path, hanoverd: Daemon, rounds: int) -> Times:
    """Floor and handover in turn."""
    times = Times()
    app = folder.name
    hanoverd.wait_live(f"{app}-0")
    floor(lab, folder, 0)

    def measure_floor(number: int) -> None:
        found = floor(lab, folder, number)
        times.floors.append(sum(found))
        times.floor_phases.append(found)

    for number in range(1, rounds + 1):
        # Each goes first as often as the other.
        if number % 2:
            measure_floor(number)
        taken, after_readiness = handover(lab, hanoverd, f"{app}-{number}")
        times.handovers.append(taken)
        times.after_readiness.append(after_readiness)
        hanoverd.wait_gone(f"{app}-{number - 1}")
        times.phases.append(phases(lab, f"{app}-{number}"))
        if not number % 2:
            measure_floor(number)
    return times


def phase_cell(times: Times, number: int) -> str:
    """The medians of one phase, as ``floor / handover``."""
    floors = [one[number] for one in times.floor_phases if number < len(one)]
    ours = [one[number] for one in times.phases]
    return f"{f'{statistics.median(floors):.1f}' if floors else '-'} / {statistics.median(ours):.1f}"


def resident_megabytes(pid: int) -> float:
    """The resident memory of a process."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def idle_percent(pid: int) -> float:
    """How much of one processor a process that has nothing to do uses."""

    def used() -> float:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    before = used()
    time.sleep(IDLE_SECONDS)
    return (used() - before) / IDLE_SECONDS * 100


def command_milliseconds(*command: str) -> float:
    """The median time of a whole command."""
    times = []
    for _ in range(10):
        begun = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times)


def main() -> None:
    """Measure, and print the table."""
    parser = parser_for(__doc__)
    parser.add_argument("rounds", metavar="ROUNDS", nargs="?", type=int, default=20)
    options = parser.parse_args()
    rounds = options.rounds
    columns: dict[str, Times] = {}
    with lab_of(options) as lab, tempfile.TemporaryDirectory() as name:
        for app, title, env in (
            ("prompt", "ready at once", {}),
            ("late", "ready after 330 ms", {"READY_AFTER": "0.33"}),
        ):
            folder = Path(name, app)
            write_app(folder, env=env)
            (folder / "padding").write_bytes(bytes(PADDING_BYTES))
            with Daemon(lab, ["-p", "8080:80"], folder) as hanoverd:
                columns[title] = measure(lab, folder, hanoverd, rounds)
                memory, idle = resident_megabytes(hanoverd.pid), idle_percent(hanoverd.pid)
    print(f"medians of {rounds}, in ms".ljust(32), *(title.rjust(20) for title in columns))
    for row, values in (
        ("the engine's floor", lambda times: times.floors),
        ("a handover", lambda times: times.handovers),
        ("hanoverd adds", Times.added),
        ("first answer after readiness", lambda times: times.after_readiness),
    ):
        print(row.ljust(32), *(f"{statistics.median(values(times)):20.1f}" for times in columns.values()))
    print("phases: floor / handover")
    for number, phase in enumerate(PHASES):
        print(f"  {phase}".ljust(32), *(phase_cell(times, number).rjust(20) for times in columns.values()))
    print(f"resident memory after {rounds} handovers: {memory:.1f} MB; idle: {idle:.2f} % of a processor")
    hanoverd_help = command_milliseconds(str(Path(sys.executable).with_name("hanoverd")), "--help")
    bare = command_milliseconds(sys.executable, "-c", "pass")
    print(f"hanoverd --help: {hanoverd_help:.0f} ms (python -c pass: {bare:.0f} ms)")


if __name__ == "__main__":
    main()
