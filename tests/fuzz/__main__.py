"""Fuzz the parsers of what strangers write, two at a time.

usage: python -m tests.fuzz [--seconds N] [--at-once N] [TARGET...]

Each target starts with the inputs in ``seeds/TARGET``. Prints one line for each: how many inputs were tried, how many of them
reach different code, how many kinds of crashes there were, and how long it took. The first input of each kind is kept in
``crashes``: move it to ``seeds/TARGET``, and ``tests/unit/test_fuzz_seeds.py`` runs it from then on.

The exit status is 1 if there was a crash. An input that takes longer than 20 seconds, or more than 1 GiB, is one too.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.target import SEEDS, Target
from tests.fuzz.targets import TARGETS, load

#: Where inputs that crash a parser are kept.
CRASHES = Path(__file__).with_name("crashes")

#: The limits of one input.
_SECONDS, _MEGABYTES = 20, 1024

#: The time until a run that should have ended is killed, in seconds.
_OVERTIME = 60


@dataclass(frozen=True)
class Run:
    """The result of fuzzing one target."""

    target: str
    executions: int
    corpus: int
    crashes: tuple[Path, ...]
    seconds: float
    #: The output, if the run has not ended as it should.
    output: str = ""

    @property
    def is_good(self) -> bool:
        """Whether there was no crash, and the run has ended as it should."""
        return not self.crashes and not self.output

    def __str__(self) -> str:
        return (
            f"{self.target:18} {self.executions:>10} executions {self.corpus:>6} in the corpus "
            f"{len(self.crashes):>3} crashes {self.seconds:>6.0f} s"
        )


def fuzz(target: Target, seconds: int, seed: int) -> Run:
    """Fuzz a target for so long; with the same ``seed``, 0 for a random one, the inputs are the same in each run."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hanoverd-fuzz-") as folder:
        corpus, crashes, words = Path(folder, "corpus"), Path(folder, "crashes"), Path(folder, "words")
        corpus.mkdir()
        crashes.mkdir()
        words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
        limits = [f"-max_total_time={seconds}", f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}"]
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.one", target.name, str(crashes)),
                *limits,
                f"-seed={seed}",
                f"-max_len={target.longest}",
                f"-dict={words}",
                f"-artifact_prefix={crashes / target.name}-",
                "-print_final_stats=1",
                str(corpus),
                str(SEEDS / target.name),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds + _OVERTIME,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        found = re.findall(r"stat::number_of_executed_units: (\d+)", output)
        size = len(list(corpus.iterdir()))
        found_crashes = [_kept(path) for path in sorted(crashes.iterdir())]
    return Run(
        target.name,
        int(found[-1]) if found else 0,
        size,
        tuple(path for path in found_crashes if path.suffix != ".txt"),
        time.monotonic() - begun,
        output if done.returncode or not found else "",
    )


def _kept(path: Path) -> Path:
    CRASHES.mkdir(exist_ok=True)
    return Path(shutil.copy(path, CRASHES))


def _escaped(word: str) -> str:
    return "".join(f"\\x{byte:02X}" for byte in word.encode("utf-8", "surrogateescape"))


def _report(run: Run) -> None:
    print(run, flush=True)
    for path in run.crashes:
        print(f"    {path}: {path.read_bytes()[:200]!r}")
        trace = path.with_name(f"{path.name}.txt")
        print(trace.read_text()[-1500:] if trace.exists() else "", flush=True)
    if run.output:
        print(run.output[-3000:], flush=True)


def main() -> None:
    """Fuzz targets."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=600, help="how long for each target (default: ten minutes)")
    parser.add_argument("--at-once", type=int, default=2, help="how many run at the same time (default: 2)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the random inputs (default: a random one)")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"by default all: {', '.join(TARGETS)}")
    given = parser.parse_args()
    targets = [load(name) for name in given.targets or TARGETS]
    with ThreadPoolExecutor(given.at_once) as pool:
        runs = []
        for run in pool.map(lambda target: fuzz(target, given.seconds, given.seed), targets):
            _report(run)
            runs.append(run)
    print(f"{sum(run.executions for run in runs)} executions, {sum(len(run.crashes) for run in runs)} crashes")
    sys.exit(0 if all(run.is_good for run in runs) else 1)


if __name__ == "__main__":
    main()
