"""Standard input, where it is an interactive terminal: its end (Ctrl-D) is a wish to stop."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

#: How often a process in the background looks whether it has come to the foreground, in seconds.
LOOK_AGAIN_AFTER = 1.0


class TerminalReactor(IReactorFDSet, IReactorTime):
    """What a reactor must be able to do to watch a terminal."""


@implementer(IReadDescriptor)
class Terminal:
    """Reads a terminal and forgets what it reads, until its end.

    The descriptor stays blocking: its flags are shared with the shell and with our own output.
    """

    def __init__(self, reactor: TerminalReactor, descriptor: int, on_end: Callable[[], object]) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._on_end = on_end
        self._later: IDelayedCall | None = None

    def watch(self) -> None:
        """Begin; does nothing where there is no terminal (nohup, /dev/null, a service manager)."""
        if self._is_ours():
            self._reactor.addReader(self)
        elif self._is_terminal():
            # Reading now would stop the process (SIGTTIN, termios(3)): it runs in the background.
            self._later = self._reactor.callLater(LOOK_AGAIN_AFTER, self.watch)

    def unwatch(self) -> None:
        """End; idempotent."""
        self._reactor.removeReader(self)
        if self._later is not None:
            try:
                self._later.cancel()
            except (AlreadyCalled, AlreadyCancelled):
                pass

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def doRead(self) -> None:
        """There is something to read, or the end."""
        if not self._is_ours():
            self._reactor.removeReader(self)
            self.watch()
            return
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:
            data = b""  # The terminal has gone.
        if not data:
            self._reactor.removeReader(self)
            self._on_end()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor is done with us."""

    def logPrefix(self) -> str:
        """Our name in the reactor's own messages."""
        return "terminal"

    def _is_terminal(self) -> bool:
        try:
            return os.isatty(self._descriptor)
        except OSError:
            return False

    def _is_ours(self) -> bool:
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:
            return False
