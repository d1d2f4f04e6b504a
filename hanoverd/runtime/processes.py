"""Short-lived programs, run to their end by the reactor."""

from __future__ import annotations

import os
import shutil
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
from hanoverd.runtime.clock import settled_or_forced
from hanoverd.runtime.errors import ProgramMissing, ProgramNotStarted
from hanoverd.text.lines import LineCutter

#: How long a program that was asked to end may take before it is killed, in seconds.
KILL_AFTER = 2.0

#: How long the output of a program that has exited is waited for, in seconds: a child that it left behind may hold its
#: standard output open for ever.
OUTPUT_GRACE = 0.5

#: The largest number of bytes that can wait in a pipe (fs.pipe-max-size, unless the administrator has raised it).
_PIPE_SIZE = 1024 * 1024


class ProcessReactor(IReactorProcess, IReactorTime):
    """What a reactor must be able to do to run programs here."""


@dataclass(frozen=True)
class Ended:
    """How a program ended: ``code`` is its exit status, or minus the signal that ended it."""

    code: int
    stdout: str
    stderr: str


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """The path of the program ``name`` as the shell would find it; fails with ``ProgramMissing``.

    Only PATH is searched: never the current folder, which may be somebody's repository.
    """
    path = shutil.which(name, path=environ.get("PATH", ""))
    if path is None:
        raise ProgramMissing(name)
    return path


async def run(
    reactor: ProcessReactor,
    argv: Sequence[str],
    environ: Mapping[str, str],
    stdin: str = "",
    *,
    cwd: str | None = None,
    on_line: Callable[[str], object] | None = None,
    with_children: bool = False,
) -> Ended:
    """Run a program, ``argv[0]`` looked up on PATH, with ``stdin`` as its input, until it has ended.

    ``on_line`` takes what it prints, on standard output and error, line by line; then nothing of it is kept.
    ``with_children`` is for programs that run others: they get a session of their own, so that no terminal can be
    asked anything, and a cancel ends them all.
    A child that the program leaves behind is not waited for: what it prints later than ``OUTPUT_GRACE`` seconds after
    the program's exit finds a closed pipe.
    Fails with ``ProgramMissing`` or ``ProgramNotStarted``.  A cancel sends it SIGTERM, and SIGKILL ``KILL_AFTER`` seconds
    later; the Deferred fires, with ``CancelledError``, when the process has gone.
    """
    protocol = _Collector(reactor) if on_line is None else _Lines(reactor, on_line)
    program = _start(reactor, protocol, argv, environ, cwd=cwd, with_children=with_children)
    return await program.finish(stdin)


def start_waiting(reactor: ProcessReactor, argv: Sequence[str], environ: Mapping[str, str]) -> WaitingProgram:
    """Start a program, ``argv[0]`` looked up on PATH, before its input is known: the time that it takes to start is over
    when the input is there.  The caller calls ``finish`` or ``abandon``.

    Fails with ``ProgramMissing`` or ``ProgramNotStarted``.
    """
    return _start(reactor, _Collector(reactor), argv, environ)


class WaitingProgram:
    """A program that runs and waits for its standard input; made by ``start_waiting``."""

    def __init__(self, reactor: IReactorTime, protocol: _Collector) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._outcome = Outcome(protocol.ended)

    @property
    def has_ended(self) -> bool:
        """Whether the program has ended, for whatever reason."""
        return self._outcome.is_settled

    async def finish(self, stdin: str) -> Ended:
        """Give the program ``stdin`` as its whole input, and wait until it has ended, which it may have done before.

        A cancel sends it SIGTERM, and SIGKILL ``KILL_AFTER`` seconds later; the Deferred fires, with ``CancelledError``,
        when the process has gone.
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
        """End the program, which gets no input: SIGTERM, then SIGKILL.

        Fires when it has gone.  Idempotent; ignores cancellation.
        """
        if self.has_ended:
            return
        finishing = Deferred.fromCoroutine(self.finish(""))
        finishing.cancel()
        try:
            await shielded(finishing)
        except CancelledError:
            pass  # Its own, of the line before.


def _start(
    reactor: ProcessReactor,
    protocol: _Collector,
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    cwd: str | None = None,
    with_children: bool = False,
) -> WaitingProgram:
    program = find_program(argv[0], environ)
    command = list(argv)
    if with_children:
        protocol.has_group = True
        # It becomes the program: there is no process between us (setsid(1), as long as it need not fork).
        command = ["setsid", program, *argv[1:]]
        program = find_program("setsid", environ)
    try:
        # It closes its pipes where it fails.
        reactor.spawnProcess(protocol, program, command, env=dict(environ), path=cwd)
    except (OSError, ValueError) as error:
        # ValueError: a NUL byte in an argument or in the environment.
        raise ProgramNotStarted(argv[0], getattr(error, "strerror", None) or str(error)) from error
    return WaitingProgram(reactor, protocol)


class _Collector(ProcessProtocol):
    """Feeds a program its input and keeps what it prints."""

    transport: Any

    #: Whether the program leads a process group.
    has_group = False

    _pid = 0
    _grace: IDelayedCall | None = None

    def __init__(self, reactor: IReactorTime) -> None:
        self.ended: Deferred[Ended] = Deferred()
        self._reactor = reactor
        self._stdout: list[bytes] = []
        self._stderr: list[bytes] = []
        self._received_bytes = 0

    def connectionMade(self) -> None:
        self._pid = self.transport.pid

    def feed(self, stdin: bytes) -> None:
        """Give the program its whole input."""
        self.transport.write(stdin)
        self.transport.closeStdin()

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # Twisted's
        self._received_bytes += len(data)
        super().childDataReceived(childFD, data)

    def outReceived(self, data: bytes) -> None:
        self._stdout.append(data)

    def errReceived(self, data: bytes) -> None:
        self._stderr.append(data)

    def signal(self, name: str) -> None:
        if self.has_group and self._signal_group(getattr(signal, f"SIG{name}")):
            return
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass

    def kill_group(self) -> None:
        """Kill what is left of the program's group, if it leads one."""
        if self.has_group:
            self._signal_group(signal.SIGKILL)

    def _signal_group(self, number: int) -> bool:
        """Whether there is such a group."""
        try:
            # Its children too, which may outlive it: the group has its number as long as any of them is there.
            os.killpg(self._pid, number)
        except ProcessLookupError:
            return False  # It has not got as far as that, or all have ended.
        return True

    # The output has not been read yet: processEnded follows when all pipes are closed.
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
        # Not loseConnection, which waits until a child that reads nothing has read all its input.
        for descriptor, pipe in list(self.transport.pipes.items()):
            if descriptor != 0:
                self._read_what_waits(pipe)
            pipe.connectionLost(Failure(ConnectionDone()))

    def _read_what_waits(self, pipe: Any) -> None:
        """Read what the program itself has printed, even where the reactor has had no time for it."""
        limit = self._received_bytes + _PIPE_SIZE
        while self._received_bytes < limit:
            before = self._received_bytes
            is_closed = pipe.doRead() is not None
            if is_closed or self._received_bytes == before:
                return


class _Lines(_Collector):
    """Hands on what a program prints, line by line."""

    def __init__(self, reactor: IReactorTime, on_line: Callable[[str], object]) -> None:
        super().__init__(reactor)
        self._on_line = on_line
        self._out, self._err = LineCutter(), LineCutter()

    def outReceived(self, data: bytes) -> None:
        self._hand_on(self._out.take(_with_newlines(data)))

    def errReceived(self, data: bytes) -> None:
        self._hand_on(self._err.take(_with_newlines(data)))

    def processEnded(self, reason: Failure) -> None:
        self._hand_on([*self._out.rest(), *self._err.rest()])
        super().processEnded(reason)

    def _hand_on(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if line.strip():
                self._on_line(line.decode(errors="replace").rstrip())


def _with_newlines(data: bytes) -> bytes:
    # A progress bar ends its lines by a carriage return alone.
    return data.replace(b"\r", b"\n")


def _exit_code(reason: Failure) -> int:
    ended = reason.value
    if isinstance(ended, ProcessTerminated):
        return int(ended.exitCode) if ended.exitCode is not None else -int(ended.signal or 0)
    return 0
