"""The signals that a process takes, while it starts and when it runs."""

from __future__ import annotations

import signal
from collections.abc import Callable

from twisted.internet.interfaces import IReactorFromThreads


def hangups_before() -> None:
    """Have SIGHUP do nothing until the service takes it: by default it would end a process that still starts.

    The handover that is due at the start makes up for those that are missed.
    """
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)


def take_signals(
    reactor: IReactorFromThreads, on_hangup: Callable[[], object], on_stop: Callable[[str], object]
) -> None:
    """Have ``on_hangup`` called at each SIGHUP from now on, and ``on_stop``, with its name, at each SIGTERM and SIGINT.

    To be called when the reactor runs: after Twisted's own handlers, which would have twistd end by the signal itself,
    not with exit status 0.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: reactor.callFromThread(on_stop, signal.Signals(number).name))
    signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(on_hangup))
