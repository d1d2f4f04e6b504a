"""How long a handover takes, beside what the engine itself takes for the same steps, in the same run.

usage: python -m benchmarks.handover [ROUNDS]        (as root, from the project's root; 10 rounds unless told)

In a lab of its own (see tests/lab): ROUNDS times in turn, (a) the floor: a cached build, create, start, inspect and the
first answer by plain requests to the engine; (b) a handover: from SIGHUP to the first answer of the new version, asked
without a pause from another host.  Prints medians in milliseconds, their difference, which is what hanoverd adds, and the
daemon's resident memory.
"""

from __future__ import annotations

import io
import json
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from tests.lab.api import call
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app

#: Of such a size is the context of a small app.
PADDING_BYTES = 4_000_000

_ASK = """
import socket, sys, time
host, port, wanted = sys.argv[1], int(sys.argv[2]), sys.argv[3]
deadline = time.monotonic() + 30
while time.monotonic() < deadline:
    try:
        with socket.create_connection((host, port), 5) as c:
            c.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
            answer = b""
            while data := c.recv(4096):
                answer += data
    except OSError:
        continue
    if answer.partition(b"\\r\\n\\r\\n")[2].split()[:1] == [wanted.encode()]:
        print(time.monotonic())
        break
"""


def first_answer(prefixed: list[str], host: str, port: int, wanted: str) -> subprocess.Popen[str]:
    """Begins to ask, without a pause; prints the monotonic time of the first answer by ``wanted``."""
    return subprocess.Popen(
        [*prefixed, sys.executable, "-c", _ASK, host, str(port), wanted], stdout=subprocess.PIPE, text=True
    )


def floor(lab: Lab, folder: Path, number: int) -> float:
    """The engine's own time for one version, in seconds."""
    name = f"floor-{number}"
    begun = time.monotonic()
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            for file in sorted(folder.iterdir()):
                tar.add(file, file.name)
        call(lab.engine.socket, "POST", "/build?t=floor&rm=1", buffer.getvalue())
    lab.docker("POST", f"/containers/create?name={name}", {"Image": "floor", "Hostname": name})
    lab.docker("POST", f"/containers/{name}/start")
    address = json.loads(lab.docker("GET", f"/containers/{name}/json")[1])["NetworkSettings"]["IPAddress"]
    out, _ = first_answer(lab.in_host([]), address, 80, name).communicate()
    taken = float(out) - begun
    lab.docker("DELETE", f"/containers/{name}?force=1")
    return taken


def handover(lab: Lab, hanoverd: Daemon, number: int) -> float:
    """From SIGHUP to the first answer of version ``number``, in seconds."""
    asking = first_answer(lab.in_client([]), lab.host_ip, 8080, f"bench-{number}")
    time.sleep(0.3)
    begun = time.monotonic()
    hanoverd.hup()
    out, _ = asking.communicate()
    return float(out) - begun


def resident_megabytes(pid: int) -> float:
    """The resident memory of a process."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Run both in turn and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    lab = Lab()
    lab.start()
    try:
        import_base(lab)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_app(folder)
            (folder / "padding").write_bytes(bytes(PADDING_BYTES))
            floor(lab, folder, 0)
            with Daemon(lab, ["-p", "8080:80", "--name", "bench"], folder) as hanoverd:
                hanoverd.wait_for("bench-0 is live")
                floors, handovers = [], []
                for number in range(1, rounds + 1):
                    floors.append(floor(lab, folder, number) * 1000)
                    handovers.append(handover(lab, hanoverd, number) * 1000)
                    hanoverd.wait_for(f"bench-{number - 1} is gone")
                memory = resident_megabytes(hanoverd.pid)
    finally:
        lab.stop()
    for title, values in (("the engine's floor", floors), ("a handover", handovers)):
        print(f"{title}: median {statistics.median(values):.0f} ms (from {min(values):.0f} to {max(values):.0f})")
    added = [ours - engines for ours, engines in zip(handovers, floors, strict=True)]
    print(
        f"hanoverd adds: median {statistics.median(added):.0f} ms, ratio {statistics.median(handovers) / statistics.median(floors):.2f}"
    )
    print(f"resident memory after {rounds} handovers: {memory:.0f} MB")


if __name__ == "__main__":
    main()
