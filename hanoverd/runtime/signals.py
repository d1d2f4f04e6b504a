"""Signal handlers, while a process starts and when it runs."""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFromThreads


def ignore_hangups() -> None:
    """Ignore SIGHUP until the service handles it: by default, it ends the process.

    No trigger is lost, because a handover follows at the start.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def handle_signals(
    reactor: IReactorFromThreads, on_hangup: Callable[[], object], on_stop: Callable[[str], object]
) -> None:
    """Call ``on_hangup`` at each SIGHUP from now on, and ``on_stop``, with the signal's name, at each SIGTERM and SIGINT.

    Call it when the reactor runs. It replaces Twisted's own handlers, with which twistd ends by the signal instead of
    with exit status 0.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: reactor.callFromThread(on_stop, signal.Signals(number).name))
    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(on_hangup))
