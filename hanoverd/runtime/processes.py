"""Runs programs by the reactor, and waits for their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.capabilities import Keep, own_setpriv_command
from hanoverd.runtime.clock import settled_or_forced
from hanoverd.runtime.errors import OutputTooLong, ProgramNotStarted
from hanoverd.runtime.search_path import find_program
from hanoverd.text.lines import LineCutter, text_of

#: How long a program has after SIGTERM before it gets SIGKILL, in seconds.
KILL_AFTER = 2.0

#: How long to wait for the output of a program that has exited, in seconds: a child that it left may keep its standard
#: output open.
OUTPUT_GRACE = 0.5

#: How much output of a program is kept, in bytes, unless its caller sets another limit.
MOST_OUTPUT = 64 * 1024 * 1024

#: After how many bytes of output that is passed on line by line reading pauses, and for how long, in seconds. Otherwise a
#: program that prints without end would take all of the reactor's time.
_BURST, _PAUSE = 64 * 1024, 0.01

#: The maximum size of a pipe, in bytes (the default of fs.pipe-max-size).
_PIPE_SIZE = 1024 * 1024


class ProcessReactor(IReactorProcess, IReactorTime):
    """The parts of a reactor that run programs."""


@dataclass(frozen=True)
class Ended:
    """The result of a program: ``code`` is its exit status, or minus the signal that ended it."""

    code: int
    stdout: str
    stderr: str


async def run(
    reactor: ProcessReactor,
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdin: str = "",
    *,
    cwd: str | None = None,
    on_line: Callable[[str], object] | None = None,
    on_stdout: Callable[[bytes], object] | None = None,
    limit: int = MOST_OUTPUT,
    with_children: bool = False,
    keep: Keep = Keep.NOTHING,
) -> Ended:
    """Run a program, found on PATH, with ``stdin`` as its input, and return its result when it has ended.

    ``on_line`` takes the lines of its standard output and error; without it, the result has the output. ``on_stdout`` takes
    the pieces of the standard output instead. A program that writes more than ``limit`` bytes to the result is killed.
    ``with_children`` is for a program that runs other programs: it gets its own session, so that none of them can ask on
    the terminal, and a cancel ends all of them. A child that it leaves is not waited for: its output is read for
    ``OUTPUT_GRACE`` seconds after the program's exit, then the pipe is closed.
    ``keep`` names the capabilities of this process that the program has too.

    Fails with ``ProgramMissing`` or ``ProgramNotStarted``, and with ``OutputTooLong`` because of ``limit``. Cancel sends
    SIGTERM, and SIGKILL ``KILL_AFTER`` seconds later; the Deferred fires with ``CancelledError`` when the process has ended.
    """
    protocol = _Collector(reactor) if on_line is None else _Lines(reactor, on_line)
    protocol.on_stdout, protocol.limit = on_stdout, limit
    program = _start(reactor, protocol, argv, environ, cwd=cwd, with_children=with_children, keep=keep)
    ended = await program.finish(stdin)
    if protocol.is_over_limit:
        raise OutputTooLong(argv[0], limit)
    return ended


def start_waiting(reactor: ProcessReactor, argv: Sequence[str], environ: Mapping[str, str]) -> WaitingProgram:
    """Start a program, found on PATH, before its input is known, to save its start time later.

    It has all capabilities of this process. The caller must call ``finish`` or ``abandon``. Fails with ``ProgramMissing`` or ``ProgramNotStarted``.
    """
    return _start(reactor, _Collector(reactor), argv, environ, keep=Keep.EVERYTHING)


class WaitingProgram:
    """A running program that waits for its standard input; made by ``start_waiting``."""

    def __init__(self, reactor: IReactorTime, protocol: _Collector) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._outcome = Outcome(protocol.ended)

    @property
    def has_ended(self) -> bool:
        """Whether the program has ended."""
        return self._outcome.is_settled

    async def finish(self, stdin: str) -> Ended:
        """Send ``stdin`` to the program, close its input, and return its result when it has ended.

        Cancel sends SIGTERM, and SIGKILL ``KILL_AFTER`` seconds later; the Deferred fires with ``CancelledError`` when the
        process has ended.
        """
        self._protocol.feed(stdin.encode())
        try:
            await settled_or_forced(
                self._reactor,
                KILL_AFTER,
                self._outcome.wait(),
                ask=lambda: self._protocol.signal("TERM"),
                force=lambda: self._protocol.signal("KILL"),
            )
        except CancelledError:
            # The program has ended; its children may not have.
            self._protocol.kill_group()
            raise
        return self._outcome.get()

    async def abandon(self) -> None:
        """End the program without input, with SIGTERM, then SIGKILL; fires when it has ended.

        Idempotent. Ignores cancellation.
        """
        if self.has_ended:
            return
        finishing = Deferred.fromCoroutine(self.finish(""))
        finishing.cancel()
        try:
            await shielded(finishing)
        except CancelledError:
            pass  # From the cancel above.


def _start(
    reactor: ProcessReactor,
    protocol: _Collector,
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    cwd: str | None = None,
    with_children: bool = False,
    keep: Keep,
) -> WaitingProgram:
    program = find_program(argv[0], environ)
    command = list(argv)
    # Both execute the program in their own process; setsid(1) unless it has to fork.
    for starter in (own_setpriv_command(keep), ["setsid"] if with_children else []):
        if starter:
            command = [*starter, program, *command[1:]]
            program = find_program(starter[0], environ)
    protocol.has_group = with_children
    try:
        # If it fails, it closes its pipes.
        reactor.spawnProcess(protocol, program, command, env=dict(environ), path=cwd)
    except (OSError, ValueError) as error:
        # ValueError: a NUL byte in an argument or in the environment.
        raise ProgramNotStarted(argv[0], getattr(error, "strerror", None) or str(error)) from error
    return WaitingProgram(reactor, protocol)


class _Collector(ProcessProtocol):
    """Sends a program its input, and keeps its output."""

    transport: Any

    #: Whether the program leads a process group.
    has_group = False

    #: Takes the standard output instead of the result; and how many bytes the result may have.
    on_stdout: Callable[[bytes], object] | None = None
    limit: int = MOST_OUTPUT
    is_over_limit = False

    _pid = 0
    _grace: IDelayedCall | None = None

    def __init__(self, reactor: IReactorTime) -> None:
        self.ended: Deferred[Ended] = Deferred()
        self._reactor = reactor
        self._stdout: list[bytes] = []
        self._stderr: list[bytes] = []
        self._received_bytes = 0
        self._kept_bytes = 0

    def connectionMade(self) -> None:
        self._pid = self.transport.pid

    def feed(self, stdin: bytes) -> None:
        """Send the input, and close it."""
        self.transport.write(stdin)
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # Twisted's
        self._received_bytes += len(data)
        super().childDataReceived(childFD, data)

    def outReceived(self, data: bytes) -> None:
        if self.on_stdout is not None:
            self.on_stdout(data)
        else:
            self._keep(self._stdout, data)

    def errReceived(self, data: bytes) -> None:
        self._keep(self._stderr, data)

    def _keep(self, output: list[bytes], data: bytes) -> None:
        self._kept_bytes += len(data)
        if self._kept_bytes <= self.limit:
            output.append(data)
        elif not self.is_over_limit:
            self.is_over_limit = True
            self.signal("KILL")

    def signal(self, name: str) -> None:
        if self.has_group and self._signal_group(getattr(signal, f"SIG{name}")):
            return
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass

    def kill_group(self) -> None:
        """Kill the rest of the program's process group, if it has one."""
        if self.has_group:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> bool:
        """Send a signal to the program and its children; return False if there is no such group."""
        try:
            # Children may outlive the program: the group keeps its number while one of them runs.
            os.killpg(self._pid, number)
        except ProcessLookupError:
            return False  # The program has not created the group yet, or all have ended.
        return True

    # processEnded follows when all pipes are closed and the output was read.
    def processExited(self, reason: Failure) -> None:
        del reason
        self._grace = self._reactor.callLater(OUTPUT_GRACE, self._close_pipes)

    def processEnded(self, reason: Failure) -> None:
        if self._grace is not None and self._grace.active():
            self._grace.cancel()
        self.ended.callback(
            Ended(
                _exit_code(reason),
                b"".join(self._stdout).decode(errors="replace"),
                b"".join(self._stderr).decode(errors="replace"),
            )
        )

    def _close_pipes(self) -> None:
        # Not loseConnection: it waits until the input is written, which a child may never read.
        for descriptor, pipe in list(self.transport.pipes.items()):
            if descriptor != 0:
                self._read_rest(pipe)
            pipe.connectionLost(Failure(ConnectionDone()))

    def _read_rest(self, pipe: Any) -> None:
        """Read the output that is in the pipe and that the reactor has not read yet."""
        limit = self._received_bytes + _PIPE_SIZE
        while self._received_bytes < limit:
            before = self._received_bytes
            is_closed = pipe.doRead() is not None
            if is_closed or self._received_bytes == before:
                return


class _Lines(_Collector):
    """Passes on the output of a program, line by line, with pauses if there is much."""

    def __init__(self, reactor: IReactorTime, on_line: Callable[[str], object]) -> None:
        super().__init__(reactor)
        self._on_line = on_line
        self._burst = 0
        self._resume: IDelayedCall | None = None
        self._out, self._err = LineCutter(), LineCutter()

    def outReceived(self, data: bytes) -> None:
        self._pass_on(self._out.take(_with_newlines(data)))

    def errReceived(self, data: bytes) -> None:
        self._pass_on(self._err.take(_with_newlines(data)))

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        super().childDataReceived(childFD, data)
        self._burst += len(data)
        if self._burst >= _BURST and self._resume is None:
            self.transport.pauseProducing()
            self._resume = self._reactor.callLater(_PAUSE, self._read_on)

    def _read_on(self) -> None:
        self._burst, self._resume = 0, None
        self.transport.resumeProducing()

    def processEnded(self, reason: Failure) -> None:
        if self._resume is not None:
            self._resume.cancel()
        self._pass_on([*self._out.rest(), *self._err.rest()])
        super().processEnded(reason)

    def _pass_on(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._on_line(text_of(line).rstrip())


def _with_newlines(data: bytes) -> bytes:
    # A progress bar ends its lines by a carriage return alone.
    return data.replace(b"\r", b"\n")


def _exit_code(reason: Failure) -> int:
    ended = reason.value
    if isinstance(ended, ProcessTerminated):
        return int(ended.exitCode) if ended.exitCode is not None else -int(ended.signal or 0)
    return 0
