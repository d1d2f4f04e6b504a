"""Short-lived programs, run to their end by the reactor."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from hanoverd.concurrency.cancellation import over
from hanoverd.errors import ProgramMissing

#: How long a program that was told to end may take before it is killed, in seconds.
KILL_AFTER = 2.0


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
    Fails with ``ProgramMissing``.  A cancel sends it SIGTERM, and SIGKILL ``KILL_AFTER`` seconds later; the
    Deferred fires, with ``CancelledError``, when the process has gone.
    """
    protocol = _Collector(stdin) if on_line is None else _Lines(stdin, on_line)
    program = find_program(argv[0], environ)
    command = list(argv)
    if with_children:
        protocol.has_group = True
        # It becomes the program: there is no process between us (setsid(1), as long as it need not fork).
        command = ["setsid", program, *argv[1:]]
        program = find_program("setsid", environ)
    reactor.spawnProcess(protocol, program, command, env=dict(environ), path=cwd)
    timers: list[IDelayedCall] = []

    def hasten() -> None:
        protocol.signal("TERM")
        timers.append(reactor.callLater(KILL_AFTER, protocol.signal, "KILL"))

    try:
        return await over(protocol.ended, hasten)
    finally:
        for timer in timers:
            if timer.active():
                timer.cancel()


class _Collector(ProcessProtocol):
    """Feeds a program its input and keeps what it prints."""

    transport: IProcessTransport

    #: Whether the program leads a process group.
    has_group = False

    _pid: int | None = None

    def __init__(self, stdin: str) -> None:
        self.ended: Deferred[Ended] = Deferred()
        self._stdin = stdin.encode()
        self._stdout: list[bytes] = []
        self._stderr: list[bytes] = []

    def connectionMade(self) -> None:
        self._pid = self.transport.pid
        self.transport.write(self._stdin)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._stdout.append(data)

    def errReceived(self, data: bytes) -> None:
        self._stderr.append(data)

    def signal(self, name: str) -> None:
        if self.has_group and self._pid is not None:
            try:
                # Its children too, which may outlive it: the group has its number as long as any of them is there.
                os.killpg(self._pid, getattr(signal, f"SIG{name}"))
                return
            except ProcessLookupError:
                pass  # It has not got as far as that.
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            pass

    # Not processExited: that fires before the last of the output has been read.
    def processEnded(self, reason: Failure) -> None:
        code = _exit_code(reason)
        self.ended.callback(
            Ended(
                code, b"".join(self._stdout).decode(errors="replace"), b"".join(self._stderr).decode(errors="replace")
            )
        )


class _Lines(_Collector):
    """Hands on what a program prints, line by line."""

    def __init__(self, stdin: str, on_line: Callable[[str], object]) -> None:
        super().__init__(stdin)
        self._on_line = on_line
        self._begun = {"out": b"", "err": b""}

    def outReceived(self, data: bytes) -> None:
        self._received("out", data)

    def errReceived(self, data: bytes) -> None:
        self._received("err", data)

    def processEnded(self, reason: Failure) -> None:
        for begun in self._begun.values():
            if begun:
                self._on_line(begun.decode(errors="replace"))
        super().processEnded(reason)

    def _received(self, stream: str, data: bytes) -> None:
        # A progress bar ends its lines by a carriage return alone.
        *lines, self._begun[stream] = (self._begun[stream] + data).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line.strip():
                self._on_line(line.decode(errors="replace").rstrip())


def _exit_code(reason: Failure) -> int:
    ended = reason.value
    if isinstance(ended, ProcessTerminated):
        return int(ended.exitCode) if ended.exitCode is not None else -int(ended.signal or 0)
    return 0
