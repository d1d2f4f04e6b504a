"""One fault after another, under load from the client host, and what came of it.

usage: python -m tests.faults.campaign [--faults N | --seconds N] [--seed N]     (as root, from the project's root)

Each fault hits a daemon that serves an app and, mostly, is about to hand over: at a phase that its log tells, or at any
moment.  Then the world must become right again without a person: hanoverd is started again where it was killed, as a
service manager would, and that is all the help it gets.  Prints a line a fault, and the sums.  The same seed makes the same
faults.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.asking import hostname, names
from tests.lab.clients import Clients
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app

APP = "faulty"
ARGUMENTS = ("-p", "8080:80", "--name", APP, "--on-exit", "keep")

#: What the log says at the phases of a handover.
PHASES = {
    "begun": r"handover: SIGHUP",
    "obtaining": rf"{APP}-\d+: build",
    "obtained": rf"{APP}-\d+: obtained",
    "created": rf"{APP}-\d+: created",
    "started": rf"{APP}-\d+: started",
    "ready": rf"{APP}-\d+: ready",
    "flipped": rf"{APP}-\d+: flipped",
    "live": rf"{APP}-\d+ is live",
    "gone": rf"{APP}-\d+ is gone",
}

#: How often a handover follows that is left in peace, of 1.
AGAIN = 0.1

#: How long the world may take to become right again, in seconds.
RIGHT_WITHIN = 30


@dataclass
class Result:
    """What came of one fault."""

    fault: str
    requests: int
    failed: int
    seconds: float
    #: Whether requests may fail: their app or their way to it was taken away, and no hanoverd could have saved them.
    may_fail: bool
    #: What the clients saw, once each.
    errors: list[str]


@dataclass
class Sums:
    """What came of all."""

    results: list[Result] = field(default_factory=list)

    @property
    def wrongly_failed(self) -> int:
        """Requests that should have been saved."""
        return sum(result.failed for result in self.results if not result.may_fail)

    def __str__(self) -> str:
        kinds = Counter(result.fault.partition(" ")[0] for result in self.results)
        requests = sum(result.requests for result in self.results)
        failed = sum(result.failed for result in self.results)
        slowest = max(self.results, key=lambda result: result.seconds)
        listed = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        return (
            f"{len(self.results)} faults ({listed}); {requests} requests, {failed} failed, of which {self.wrongly_failed} "
            f"should have been saved; right again within {slowest.seconds:.1f} s at the most ({slowest.fault})"
        )


class Campaign:
    """Faults on one lab, by chance of one seed."""

    def __init__(self, lab: Lab, folder: Path, seed: int) -> None:
        self._lab = lab
        self._folder = folder
        self._chance = random.Random(seed)
        self._version = 0
        self._daemon: Daemon | None = None
        self._faults: list[Callable[[], tuple[str, bool]]] = [
            *[self.kill_hanoverd] * 5,
            self.stop_hanoverd,
            self.kill_the_app,
            self.kill_the_candidate,
            self.flush_the_rules,
            self.storm_of_hangups,
            self.broken_build,
        ]

    def run(self, goes_on: Callable[[int], bool]) -> Sums:
        """Fault after fault, for as long as ``goes_on`` says of their number; then the end, which leaves nothing."""
        sums = Sums()
        self._write_app()
        self._start()
        self._become_right()
        try:
            while goes_on(len(sums.results)):
                sums.results.append(self._one())
                result = sums.results[-1]
                print(
                    f"{len(sums.results):4} {result.fault:34} {result.requests:6} requests {result.failed:4} failed "
                    f"right after {result.seconds:5.2f} s {'' if result.may_fail else ' '.join(result.errors)}",
                    flush=True,
                )
        finally:
            self._end()
        return sums

    # -- the faults: each gives its name, and whether requests may fail of it

    def kill_hanoverd(self) -> tuple[str, bool]:
        """At a phase of a handover, or at any moment."""
        when = self._hand_over_until()
        self.daemon.kill()
        self._start()
        return f"kill hanoverd, {when}", False

    def stop_hanoverd(self) -> tuple[str, bool]:
        """As an upgrade does."""
        when = self._hand_over_until()
        assert self.daemon.terminate() == 0
        self._start()
        return f"stop hanoverd, {when}", False

    def kill_the_app(self) -> tuple[str, bool]:
        """The live version."""
        self._lab.docker("POST", f"/containers/{self._live()}/kill")
        return "app killed", True

    def kill_the_candidate(self) -> tuple[str, bool]:
        """The version that is about to be ready."""
        self._write_app(READY_AFTER="0.5")
        before = len(self.daemon.log())
        self.daemon.hup()
        name = self.daemon.wait_for(rf"({APP}-\d+): started", after=before)[1]
        self._lab.docker("POST", f"/containers/{name}/kill")
        self.daemon.wait_for(f"{name} failed: it exited with code 137", after=before)
        self._write_app()
        return "candidate killed", False

    def flush_the_rules(self) -> tuple[str, bool]:
        """All of the table."""
        before = len(self.daemon.log())
        subprocess.run(self._lab.in_host(["iptables", "-t", "nat", "-F"]), check=True)
        self.daemon.wait_for("put right", after=before)
        return "flush", True

    def storm_of_hangups(self) -> tuple[str, bool]:
        """Triggers by the dozen."""
        for _ in range(30):
            self.daemon.hup()
            time.sleep(self._chance.uniform(0, 0.05))
        return "storm of SIGHUPs", False

    def broken_build(self) -> tuple[str, bool]:
        """A Dockerfile that is wrong."""
        (self._folder / "Dockerfile").write_text("FORM scratch\n")
        before = len(self.daemon.log())
        self.daemon.hup()
        self.daemon.wait_for("waiting for the next trigger", after=before)
        self._write_app()
        return "broken build", False

    # -- the world

    @property
    def daemon(self) -> Daemon:
        """The one that runs."""
        assert self._daemon is not None
        return self._daemon

    def _one(self) -> Result:
        clients = Clients(self._lab.in_client, self._lab.host_ip, "8080", "--workers", "2", "--pause", "0.005")
        time.sleep(0.1)
        try:
            fault, may_fail = self._chance.choice(self._faults)()
            begun = time.monotonic()
            self._become_right()
            seconds = time.monotonic() - begun
            if self._chance.random() < AGAIN:
                # Still, after all of that, it hands over.
                before = len(self.daemon.log())
                self._write_app()
                self.daemon.hup()
                self.daemon.wait_for(rf"{APP}-\d+ is live", after=before)
                self._become_right()
        finally:
            counted = clients.finish()
        failed = counted["failed"] + counted["cut"]
        return Result(fault, counted["requests"], failed, seconds, may_fail, counted["errors"])

    def _start(self) -> None:
        if self._daemon is not None:
            self._daemon.forget()
        self._daemon = Daemon(self._lab, ARGUMENTS, self._folder)

    def _end(self) -> None:
        """Have it end, and its app with it."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.forget()
        with Daemon(self._lab, ["-p", "8080:80", "--name", APP], self._folder) as last:
            last.wait_for("is live")

    def _hand_over_until(self) -> str:
        """Begin a handover, and come back at a phase of it, or at any moment."""
        self._write_app()
        before = len(self.daemon.log())
        self.daemon.hup()
        if self._chance.random() < 0.3:
            seconds = self._chance.uniform(0, 1.5)
            time.sleep(seconds)
            return f"{seconds:.2f} s after SIGHUP"
        phase = self._chance.choice(list(PHASES))
        self.daemon.wait_for(PHASES[phase], after=before)
        return f"when {phase}"

    def _become_right(self) -> None:
        """One version is left, it is the one that the rules name, and it answers."""
        deadline = time.monotonic() + RIGHT_WITHIN
        while not self._is_right():
            assert time.monotonic() < deadline, f"not right: {self._describe()}\n{self.daemon.log()[-5000:]}"
            time.sleep(0.05)

    def _is_right(self) -> bool:
        found = names(self._lab.containers(APP))
        if len(found) != 1 or f'"hanoverd: {found[0]}"' not in self._lab.iptables_save():
            return False
        try:
            return self._is_quiet() and hostname(self._lab.in_client, f"http://{self._lab.host_ip}:8080/") == found[0]
        except ConnectionError:
            return False

    def _is_quiet(self) -> bool:
        """Whether no handover is under way: that of the start must be over as well."""
        log = self.daemon.log()
        ends = (" is live: ", "waiting for the next trigger", "handover cancelled")
        return log.rfind("handover: ") < max(log.rfind(end) for end in ends)

    def _live(self) -> str:
        [name] = names(self._lab.containers(APP))
        return name

    def _describe(self) -> str:
        rules = [line for line in self._lab.iptables_save().splitlines() if "HANOVERD" in line]
        return f"containers {names(self._lab.containers(APP))}, rules {rules}"

    def _write_app(self, **env: str) -> None:
        """Another version of the app."""
        self._version += 1
        write_app(self._folder, version=str(self._version), env=env)


def main() -> None:
    """Run a campaign in a lab of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--faults", type=int, default=300)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    end = time.monotonic() + given.seconds if given.seconds else None
    lab = Lab()
    lab.start()
    try:
        import_base(lab)
        with tempfile.TemporaryDirectory() as folder:
            campaign = Campaign(lab, Path(folder), given.seed)
            sums = campaign.run(lambda count: time.monotonic() < end if end else count < given.faults)
        left = [*names(lab.containers()), *(line for line in lab.iptables_save().splitlines() if "HANOVERD" in line)]
    finally:
        lab.stop()
    print(f"{sums}; left behind: {left or 'nothing'}")
    sys.exit(1 if sums.wrongly_failed or left else 0)


if __name__ == "__main__":
    main()
