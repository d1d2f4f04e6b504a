"""Standard input on an interactive terminal: its end (Ctrl-D) stops the daemon."""

from __future__ import annotations

import os
from collections.abc import Callable

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

#: The interval at which a process in the background checks whether it is in the foreground, in seconds.
FOREGROUND_INTERVAL = 1.0


class TerminalReactor(IReactorFDSet, IReactorTime):
    """The parts of a reactor that read a terminal."""


@implementer(IReadDescriptor)
class Terminal:
    """Reads a terminal until its end, and ignores the input.

    The descriptor stays blocking: its flags are shared with the shell and with our output.
    """

    def __init__(self, reactor: TerminalReactor, descriptor: int, on_end: Callable[[], object]) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._on_end = on_end
        self._later: IDelayedCall | None = None

    def watch(self) -> None:
        """Start reading; does nothing without a terminal (nohup, /dev/null, a service manager)."""
        if self._is_ours():
            self._reactor.addReader(self)
        elif self._is_terminal():
            # In the background, reading stops the process (SIGTTIN, termios(3)).
            self._later = self._reactor.callLater(FOREGROUND_INTERVAL, self.watch)

    def unwatch(self) -> None:
        """Stop reading. Idempotent."""
        self._reactor.removeReader(self)
        if self._later is not None:
            try:
                self._later.cancel()
            except (AlreadyCalled, AlreadyCancelled):
                pass

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._descriptor

    def doRead(self) -> None:
        """Read the input, or its end."""
        if not self._is_ours():
            self._reactor.removeReader(self)
            self.watch()
            return
        try:
            data = os.read(self._descriptor, 4096)
        except OSError:
            data = b""  # The terminal was closed.
        if not data:
            self._reactor.removeReader(self)
            self._on_end()

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: the reactor has removed the descriptor."""

    def logPrefix(self) -> str:
        """Return the name for the reactor's messages."""
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
