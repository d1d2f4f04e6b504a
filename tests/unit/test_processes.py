"""Short-lived programs, run to their end by the reactor."""

from __future__ import annotations

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.concurrency import processes
from hanoverd.concurrency.polling import pause
from hanoverd.concurrency.processes import Ended, ProcessReactor, run
from hanoverd.errors import ProgramMissing

REACTOR: ProcessReactor = reactor  # type: ignore[assignment]  # it provides the interface at run time
ENVIRON = {"PATH": os.environ["PATH"]}


class RunTests(TestCase):
    """With the real reactor and real processes."""

    def folder(self) -> Path:
        """A folder of this test's own."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return Path(folder.name)

    async def test_it_gives_the_output_the_errors_and_the_exit_status(self) -> None:
        ended = await run(REACTOR, ["sh", "-c", "cat; echo oops >&2; exit 3"], ENVIRON, "input")
        self.assertEqual(ended, Ended(3, "input", "oops\n"))

    async def test_a_signal_that_ended_it_is_minus_its_number(self) -> None:
        ended = await run(REACTOR, ["sh", "-c", "kill -9 $$"], ENVIRON)
        self.assertEqual(ended.code, -9)

    async def test_all_of_a_large_output_is_read(self) -> None:
        ended = await run(REACTOR, ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"], ENVIRON)
        self.assertEqual(len(ended.stdout), 3_000_000)

    async def test_a_program_that_does_not_read_its_input_is_no_failure(self) -> None:
        ended = await run(REACTOR, ["true"], ENVIRON, "x" * 1_000_000)
        self.assertEqual(ended.code, 0)

    async def test_a_missing_program_is_told_and_never_sought_in_the_current_folder(self) -> None:
        with TemporaryDirectory() as folder:
            program = Path(folder, "here")
            program.write_text("#!/bin/sh\n")
            program.chmod(0o755)
            before = Path.cwd()
            os.chdir(folder)
            self.addCleanup(os.chdir, before)
            with self.assertRaisesRegex(ProgramMissing, "the program here is not on PATH"):
                await run(REACTOR, ["here"], ENVIRON)

    async def test_a_cancel_ends_the_process_and_fires_when_it_has_gone(self) -> None:
        pidfile = self.folder() / "pid"
        running = Deferred.fromCoroutine(run(REACTOR, ["sh", "-c", f"echo $$ > {pidfile}; exec sleep 60"], ENVIRON))
        while not (pidfile.exists() and pidfile.read_text()):
            await pause(REACTOR, 0.01)
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
        self.assertFalse(Path("/proc", pidfile.read_text().strip()).exists())

    async def test_a_process_that_is_deaf_to_sigterm_is_killed(self) -> None:
        self.patch(processes, "KILL_AFTER", 0.2)
        ready = self.folder() / "ready"
        script = f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done"
        running = Deferred.fromCoroutine(run(REACTOR, ["sh", "-c", script], ENVIRON))
        while not ready.exists():
            await pause(REACTOR, 0.01)
        begun = time.monotonic()
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
        self.assertGreater(time.monotonic() - begun, 0.15)


class ChildrenTests(TestCase):
    """Programs that run others."""

    async def test_a_cancel_ends_a_programs_children_too(self) -> None:
        lines: list[str] = []
        script = "sleep 60 & echo $!; exec sleep 61"
        work = Deferred.fromCoroutine(
            run(REACTOR, ["sh", "-c", script], os.environ, on_line=lines.append, with_children=True)
        )
        while not lines:
            await pause(REACTOR, 0.01)
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        state = Path("/proc", lines[0], "stat")
        for _ in range(500):
            # It has the signal; it may take a moment over its end, and be a zombie until somebody asks after it.
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            await pause(REACTOR, 0.01)
        else:
            self.fail("the child goes on")

    async def test_it_has_no_terminal_to_ask(self) -> None:
        ended = await run(REACTOR, ["sh", "-c", "exec < /dev/tty"], os.environ, with_children=True)
        self.assertNotEqual(ended.code, 0)
        self.assertIn("/dev/tty", ended.stderr)

    async def test_lines_are_handed_on_as_they_come(self) -> None:
        lines: list[str] = []
        script = "printf 'one\\n  two\\r\\n\\nthr'; printf 'ee' ; printf 'err\\n' >&2"
        ended = await run(REACTOR, ["sh", "-c", script], os.environ, on_line=lines.append)
        self.assertEqual((sorted(lines), ended.stdout), (["  two", "err", "one", "three"], ""))
