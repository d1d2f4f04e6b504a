"""A large build context: hanoverd beside docker's own client, on the same engine, in the same run.

usage: python -m benchmarks.context [MEGABYTES [ROUNDS]]     (as root, from the project's root; by default 500 and 3)

In a lab of its own (see tests/lab).  Of each, in turn: the time of a build of which all steps are cached, and the peak of
the client's own memory.  Prints medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.lab.host import Lab
from tests.lab.images import BASE, import_base

#: Builds the current folder as hanoverd does.
_OURS = """
import os, sys
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from hanoverd.docker.engine import Engine
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.pools import Pools
from hanoverd.images.folder import FolderSource
from tests.fakes.source_context import source_context
pool = Pools.of(5, 5, 5)
pool.start()
engine = Engine(reactor, pool, EngineAddress(os.environ["DOCKER_HOST"], None, "the benchmark"))
source = FolderSource(".", source_context(reactor, engine, Path(sys.argv[1]), "large"))
work = Deferred.fromCoroutine(source.obtain(lambda line: None))
work.addErrback(lambda failure: failure.printTraceback())
work.addBoth(lambda _: reactor.stop())
reactor.run()
pool.stop()
"""


def measured(command: list[str], environ: dict[str, str]) -> tuple[float, float]:
    """The seconds that a command takes, and the megabytes that it has in memory at most."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env={**os.environ, **environ}, stdout=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    # Not the value of wait4: it includes the memory of this process, of which the command is a copy at first.
    while process.poll() is None:
        found = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peak = max(peak, int(found[0].split()[1]) if found else 0)
        time.sleep(0.01)
    assert process.returncode == 0, command
    return time.monotonic() - begun, peak / 1024


def main() -> None:
    """Measure, and print the table."""
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    lab = Lab()
    lab.start()
    try:
        import_base(lab)
        with tempfile.TemporaryDirectory() as name:
            for number in range(megabytes // 10):
                Path(name, f"data-{number}").write_bytes(os.urandom(10_000_000))
            Path(name, "Dockerfile").write_text(f"FROM {BASE}\nLABEL large=yes\n")
            Path(name, ".dockerignore").write_text("nothing\n!data-*\n")
            environ = {"DOCKER_HOST": lab.docker_host, "DOCKER_BUILDKIT": "0", "PYTHONPATH": str(Path.cwd())}
            commands = {
                "docker build (classic)": ["docker", "build", "-q", name],
                "hanoverd": [sys.executable, "-c", _OURS, name],
            }
            results: dict[str, list[tuple[float, float]]] = {title: [] for title in commands}
            for _ in range(rounds):
                for title, command in commands.items():
                    results[title].append(measured(command, environ))
    finally:
        lab.stop()
    print(f"a context of {megabytes} MB, medians of {rounds}".ljust(40), "seconds".rjust(10), "peak MB".rjust(10))
    for title, found in results.items():
        seconds, memory = (statistics.median(column) for column in zip(*found, strict=True))
        print(title.ljust(40), f"{seconds:10.2f} {memory:10.1f}")
    ours, dockers = ([seconds for seconds, _ in results[title]] for title in ("hanoverd", "docker build (classic)"))
    print(f"hanoverd takes {statistics.median(ours) / statistics.median(dockers):.2f} times docker's time")


if __name__ == "__main__":
    main()
