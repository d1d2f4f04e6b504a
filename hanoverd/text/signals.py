"""Signals by name or number, as the Docker engine reads them on Linux."""

from __future__ import annotations

import re
from signal import Signals

_REAL_TIME = re.compile(r"SIGRT(?:MIN(?:\+(?P<above>[1-9][0-9]?))?|MAX(?:-(?P<below>[1-9][0-9]?))?)")

#: The engine counts up to this from SIGRTMIN, and the others from SIGRTMAX.
_ABOVE, _BELOW = 15, 14


def parse_signal(text: str) -> str:
    """Return the engine's name of a signal: ``SIGTERM`` for ``term``, ``SIGTERM`` and ``15``.

    ValueError, in the engine's words and with what to write, if there is no such signal.
    """
    if re.fullmatch(r"\+?[0-9]{1,3}", text):
        return _numbered(text, int(text))
    upper = text.upper()
    name = upper if upper.startswith("SIG") else f"SIG{upper}"
    real_time = _REAL_TIME.fullmatch(name)
    if real_time:
        if int(real_time["above"] or 0) > _ABOVE or int(real_time["below"] or 0) > _BELOW:
            raise _no_such(text)
        return name
    try:
        return Signals[name].name
    except KeyError:
        raise _no_such(text) from None


def check_signal(text: str) -> None:
    """Raise ValueError, in the engine's words, if there is no such signal; an empty text leaves it to the image."""
    if text:
        parse_signal(text)


def _numbered(text: str, number: int) -> str:
    above = number - Signals.SIGRTMIN
    below = Signals.SIGRTMAX - number
    if 0 < above <= _ABOVE:
        return f"SIGRTMIN+{above}"
    if 0 < below <= _BELOW:
        return f"SIGRTMAX-{below}"
    try:
        return Signals(number).name
    except ValueError:
        raise _no_such(text) from None


def _no_such(text: str) -> ValueError:
    return ValueError(f"invalid signal: {text} (write a name or a number, as in SIGQUIT, USR1 or 3)")
