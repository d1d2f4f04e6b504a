"""Signal handlers, while a process starts and when it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.internet.interfaces import IReactorFromThreads


def ignore_hangups() -> None:
    """Ignore SIGHUP until the service handles it: by default, it ends the process.

    No trigger is lost, because a handover follows at the start.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


@contextmanager
def signals_held() -> Iterator[None]:
    """Hold SIGTERM and SIGINT back while the context runs: they take effect at its end, or at once if one comes again."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    held: list[int] = []

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    def hold(number: int, _frame: object) -> None:
        if held:
            restore()
            os.kill(os.getpid(), number)
        held.append(number)

    previous = {number: signal.signal(number, hold) for number in numbers}
    try:
        yield
    finally:
        restore()
        if held:
            os.kill(os.getpid(), held[0])


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
