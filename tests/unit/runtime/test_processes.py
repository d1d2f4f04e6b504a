"""Short-lived programs, run to their end by the reactor."""

from __future__ import annotations

import errno
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from hanoverd.runtime import processes
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import OutputTooLong, ProgramMissing, ProgramNotStarted
from hanoverd.runtime.processes import Ended, ProcessReactor, run, start_waiting

REACTOR: ProcessReactor = reactor  # type: ignore[assignment]  # it provides the interface at run time
ENVIRON = {"PATH": os.environ["PATH"]}


def open_descriptors() -> set[int]:
    """The file descriptors of this process."""
    # All but the one by which they were listed.
    return {int(name) for name in os.listdir("/proc/self/fd") if Path("/proc/self/fd", name).exists()}


async def settled_descriptors() -> set[int]:
    """The same, with those that the reactor opens for itself when it runs its first program."""
    await run(REACTOR, ["true"], ENVIRON)
    return open_descriptors()


async def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, "not within time"
        await sleep(REACTOR, 0.01)


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

    async def test_a_program_that_prints_more_than_the_limit_is_killed_with_its_children(self) -> None:
        for command in ("yes", "yes >&2", "sh -c yes; true"):
            with self.assertRaisesRegex(OutputTooLong, "sh wrote more than 100000 bytes"):
                await run(REACTOR, ["sh", "-c", command], ENVIRON, limit=100_000, with_children=True)
        ended = await run(REACTOR, ["sh", "-c", "head -c 100000 /dev/zero"], ENVIRON, limit=100_000)
        self.assertEqual((ended.code, len(ended.stdout)), (0, 100_000))

    async def test_standard_output_can_be_taken_in_pieces(self) -> None:
        pieces: list[bytes] = []
        command = ["sh", "-c", "echo error >&2; head -c 300000 /dev/zero"]
        ended = await run(REACTOR, command, ENVIRON, on_stdout=pieces.append, limit=10)
        self.assertEqual((ended.stdout, ended.stderr, len(b"".join(pieces))), ("", "error\n", 300_000))

    async def test_lines_without_end_leave_the_reactor_its_time(self) -> None:
        # The time of this process: others may have the processor for a while.
        count, latest, worst = 0, time.process_time(), 0.0

        def take(_line: str) -> None:
            nonlocal count
            count += 1

        def turn() -> None:
            nonlocal latest, worst
            now = time.process_time()
            latest, worst = now, max(worst, now - latest)

        turning = LoopingCall(turn)
        turning.start(0.005)
        begun = time.process_time()
        working = Deferred.fromCoroutine(run(REACTOR, ["yes"], ENVIRON, on_line=take))
        await sleep(REACTOR, 1)
        spent = time.process_time() - begun
        turning.stop()
        working.cancel()
        with self.assertRaises(CancelledError):
            await working
        # Without pauses, 20 million lines a second keep it busy all the time.
        self.assertGreater(count, 10_000)
        self.assertLess(count, 4_000_000)
        self.assertLess(worst, 0.5)
        self.assertLess(spent, 0.95)

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
            await sleep(REACTOR, 0.01)
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
            await sleep(REACTOR, 0.01)
        begun = time.monotonic()
        running.cancel()
        with self.assertRaises(CancelledError):
            await running
        self.assertGreater(time.monotonic() - begun, 0.15)


class NotStartedTests(TestCase):
    """The system does not let a program start."""

    async def test_without_file_descriptors_it_fails_and_leaves_none_open(self) -> None:
        before = await settled_descriptors()
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Enough for one pipe, not for three.
        lowest = next(number for number in range(len(before) + 1) if number not in before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 2, hard))
        try:
            with self.assertRaisesRegex(ProgramNotStarted, "cannot start the program true: Too many open files"):
                await run(REACTOR, ["true"], ENVIRON)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(open_descriptors(), before)

    async def test_without_processes_it_fails_and_leaves_no_descriptor_open(self) -> None:
        def fail(*_: object, **__: object) -> int:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

        before = await settled_descriptors()
        self.patch(os, "posix_spawnp", fail)
        self.patch(os, "fork", fail)
        for folder in (None, "/"):
            with self.assertRaisesRegex(
                ProgramNotStarted, "cannot start the program .*: Resource temporarily unavailable"
            ):
                await run(REACTOR, ["true"], ENVIRON, cwd=folder)
        self.assertEqual(open_descriptors(), before)

    async def test_an_argument_that_no_program_can_take_is_explained(self) -> None:
        for argument, reason in (("x" * 200_000, "Argument list too long"), ("\0", "embedded null byte")):
            with self.assertRaisesRegex(ProgramNotStarted, reason):
                await run(REACTOR, ["true", argument], ENVIRON)


class ChildrenTests(TestCase):
    """Programs that run others."""

    async def test_a_cancel_ends_a_programs_children_too(self) -> None:
        lines: list[str] = []
        script = "sleep 60 & echo $!; exec sleep 61"
        work = Deferred.fromCoroutine(
            run(REACTOR, ["sh", "-c", script], os.environ, on_line=lines.append, with_children=True)
        )
        while not lines:
            await sleep(REACTOR, 0.01)
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        state = Path("/proc", lines[0], "stat")
        for _ in range(500):
            # It has the signal; it may take a moment over its end, and be a zombie until it is waited for.
            if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
                break
            await sleep(REACTOR, 0.01)
        else:
            self.fail("the child continues")

    async def test_it_has_no_terminal_to_ask(self) -> None:
        ended = await run(REACTOR, ["sh", "-c", "exec < /dev/tty"], os.environ, with_children=True)
        self.assertNotEqual(ended.code, 0)
        self.assertIn("/dev/tty", ended.stderr)

    async def test_lines_are_handed_on_as_they_come(self) -> None:
        lines: list[str] = []
        script = "printf 'one\\n  two\\r\\n\\nthr'; printf 'ee' ; printf 'err\\n' >&2"
        ended = await run(REACTOR, ["sh", "-c", script], os.environ, on_line=lines.append)
        self.assertEqual((sorted(lines), ended.stdout), (["  two", "err", "one", "three"], ""))

    async def test_a_line_without_an_end_is_handed_on_in_parts(self) -> None:
        lines: list[str] = []
        await run(REACTOR, ["sh", "-c", "head -c 40000 /dev/zero | tr '\\0' x"], os.environ, on_line=lines.append)
        self.assertEqual([len(line) for line in lines], [16384, 16384, 40000 - 2 * 16384])


class LeftBehindTests(TestCase):
    """A program exits, and a child of it keeps its standard output open."""

    def setUp(self) -> None:
        self.pids: list[int] = []
        self.addCleanup(self._kill_all)

    def _kill_all(self) -> None:
        for pid in self.pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    async def leave(self, command: str, *, with_children: bool) -> None:
        """Run a command that prints the ID of a child that stays; it must not be waited for."""
        before, begun = await settled_descriptors(), time.monotonic()
        ended = await run(REACTOR, ["sh", "-c", command], os.environ, with_children=with_children)
        self.pids.append(int(ended.stdout))
        self.assertEqual((ended.code, ended.stderr), (3, ""))
        self.assertLess(time.monotonic() - begun, 30)
        self.assertTrue(Path("/proc", ended.stdout.strip()).exists())
        self.assertEqual(open_descriptors(), before)

    async def test_the_child_is_not_waited_for(self) -> None:
        await self.leave("sleep 60 & echo $!; exit 3", with_children=False)
        await self.leave("sleep 60 & echo $!; exit 3", with_children=True)

    async def test_nor_is_a_child_in_a_session_of_its_own(self) -> None:
        await self.leave("setsid sleep 60 & echo $!; exit 3", with_children=True)

    async def test_nor_is_one_that_leaves_its_input_unread(self) -> None:
        command = "exec 3<&0; sleep 60 <&3 & echo $!; exit 3"
        ended = await run(REACTOR, ["sh", "-c", command], os.environ, "x" * 1_000_000)
        self.pids.append(int(ended.stdout))
        self.assertEqual(ended.code, 3)

    async def test_what_the_program_has_printed_is_read_even_where_the_reactor_was_busy(self) -> None:
        self.patch(processes, "OUTPUT_GRACE", 0.0)
        command = "sleep 60 & echo $!; head -c 60000 /dev/zero | tr '\\0' x; exit 0"
        ended = await run(REACTOR, ["sh", "-c", command], os.environ)
        pid, output = ended.stdout.split("\n")
        self.pids.append(int(pid))
        self.assertEqual(len(output), 60_000)

    async def test_a_cancel_ends_although_a_child_in_another_session_holds_the_output(self) -> None:
        self.patch(processes, "KILL_AFTER", 0.2)
        lines: list[str] = []
        script = "trap '' TERM; setsid sleep 60 & echo $!; while :; do sleep 0.05; done"
        work = Deferred.fromCoroutine(
            run(REACTOR, ["sh", "-c", script], os.environ, on_line=lines.append, with_children=True)
        )
        await until(lambda: lines)
        self.pids.append(int(lines[0]))
        begun = time.monotonic()
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        self.assertLess(time.monotonic() - begun, 30)

    async def test_a_cancel_kills_children_that_ignore_sigterm(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        pidfile = Path(folder.name, "pid")
        # The child holds none of the pipes.
        child = f"trap '' TERM; echo $$ > {pidfile}.new; mv {pidfile}.new {pidfile}; while :; do sleep 0.05; done"
        script = f'(sh -c "{child.replace("$$", chr(92) + "$$")}" > /dev/null 2>&1 < /dev/null) & sleep 60'
        work = Deferred.fromCoroutine(run(REACTOR, ["sh", "-c", script], os.environ, with_children=True))
        await until(pidfile.exists)
        work.cancel()
        with self.assertRaises(CancelledError):
            await work
        state = Path("/proc", pidfile.read_text().strip(), "stat")
        await until(lambda: not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z")


class WaitingTests(TestCase):
    """Programs that are started before their input is known."""

    async def test_it_gets_its_input_later(self) -> None:
        program = start_waiting(REACTOR, ["sh", "-c", "cat; exit 3"], ENVIRON)
        await sleep(REACTOR, 0.05)
        self.assertFalse(program.has_ended)
        self.assertEqual(await program.finish("input"), Ended(3, "input", ""))
        self.assertTrue(program.has_ended)

    async def test_one_that_dies_before_gives_its_exit_status(self) -> None:
        program = start_waiting(REACTOR, ["sh", "-c", "echo oops >&2; exit 4"], ENVIRON)
        await until(lambda: program.has_ended)
        self.assertEqual(await program.finish("x" * 1_000_000), Ended(4, "", "oops\n"))

    async def test_one_that_is_abandoned_ends_without_input(self) -> None:
        self.patch(processes, "KILL_AFTER", 0.2)
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        got, ready = Path(folder.name, "got"), Path(folder.name, "ready")
        before = await settled_descriptors()
        ignoring = f"trap '' TERM; touch {ready}; cat > {got}; while :; do sleep 0.05; done"
        program = start_waiting(REACTOR, ["sh", "-c", ignoring], ENVIRON)
        await until(ready.exists)
        await program.abandon()
        self.assertTrue(program.has_ended)
        await program.abandon()
        self.assertEqual(got.read_text(), "")
        self.assertEqual(open_descriptors(), before)
        self.assertEqual((await program.finish("late")).code, -9)

    async def test_a_cancel_of_finish_ends_it(self) -> None:
        program = start_waiting(REACTOR, ["sleep", "60"], ENVIRON)
        finishing = Deferred.fromCoroutine(program.finish(""))
        finishing.cancel()
        with self.assertRaises(CancelledError):
            await finishing
        self.assertTrue(program.has_ended)

    async def test_a_program_that_is_not_there_or_cannot_start_fails_at_once(self) -> None:
        with self.assertRaises(ProgramMissing):
            start_waiting(REACTOR, ["no-such-program"], ENVIRON)
        with self.assertRaises(ProgramNotStarted):
            start_waiting(REACTOR, ["true", "\0"], ENVIRON)
