"""The values that options take: how their text is read, and what is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from hanoverd.text.booleans import parse_boolean
from hanoverd.text.durations import parse_duration, parse_whole_seconds
from hanoverd.text.signals import parse_signal
from hanoverd.text.sizes import parse_size

#: No process can catch these.
_UNCATCHABLE = ("SIGKILL", "SIGSTOP")


@dataclass(frozen=True)
class Context:
    """What the meaning of a text depends on: the environment, and the current folder."""

    environ: Mapping[str, str]
    cwd: str


def _accept(_: object) -> None:
    """Accept every value."""


@dataclass(frozen=True)
class Value:
    """A kind of value.

    ``read`` makes it of the text, or raises ValueError.  That happens while the command line is read, or if ``is_late``
    when all of it was read: docker reports some errors only then.  ``check`` also runs then; the message of its
    ValueError continues ``--NAME``.  ``join`` makes one value of those of an option that is given several times, or
    raises ValueError.
    """

    read: Callable[[str, Context], Any]
    is_late: bool = False
    check: Callable[[Any], None] = _accept
    join: Callable[[Sequence[Any]], Any] = tuple


def plain(parse: Callable[[str], Any], *, is_late: bool = False) -> Value:
    """Return the kind of value that ``parse`` reads from the text alone."""
    return Value(lambda text, _: parse(text), is_late)


def one_of(choices: Collection[str]) -> Value:
    """Return the kind of value that is one of ``choices``."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it must be {' or '.join(choices)}")
        return text

    return plain(parse)


def number(least: int) -> Value:
    """Return the kind of value that is a whole number, ``least`` or more."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise ValueError(f"it must be a number, {least} or more")
        return int(text)

    return plain(parse, is_late=True)


def _not_negative(seconds: float) -> None:
    if seconds < 0:
        raise ValueError("cannot be negative")


def _positive(seconds: float) -> None:
    _not_negative(seconds)
    if seconds == 0:
        raise ValueError("must be more than 0: write 30s or 5m, for example")


def _not_empty(size: int) -> None:
    if size == 0:
        raise ValueError("must be more than 0: write 500m or 10g, for example")


def _parse_catchable_signal(text: str) -> str:
    signal = parse_signal(text)
    if signal in _UNCATCHABLE:
        raise ValueError(f"{signal} ends the old version at once: choose a signal that it can catch, such as SIGUSR1")
    return signal


def _parse_web_hook(text: str) -> str:
    # Of ASCII, as HTTP takes it.  A user name would be taken for a part of the host's name, and looked up.
    host = r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
    if not (re.fullmatch(rf"https?://{host}(?:[/?][!-~]*)?", text) and _has_valid_host(text)):
        raise ValueError("it must be a URL, https://HOST/…, with % escapes and without a user name")
    return text


def _has_valid_host(url: str) -> bool:
    try:
        # The port is checked when it is read, an IPv6 address before.
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _parse_status_uri(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("it must begin with / (write the path alone, as in /health)")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it has a character that must be percent-encoded (write %20 for a space)")
    return text


def _parse_tail(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError("it must be a number, or all")
    return int(text)


def _parse_path(text: str) -> str:
    if not text:
        raise ValueError("the path is empty")
    return text


TEXT = plain(str)
BOOLEAN = plain(parse_boolean)
NOT = plain(lambda text: not parse_boolean(text))
DURATION = replace(plain(parse_duration), check=_not_negative)
POSITIVE_DURATION = replace(DURATION, check=_positive)
SIZE = plain(parse_size)
POSITIVE_SIZE = replace(SIZE, check=_not_empty)
WHOLE_SECONDS = plain(parse_whole_seconds)
SIGNAL = plain(parse_signal, is_late=True)
CATCHABLE_SIGNAL = plain(_parse_catchable_signal, is_late=True)
WEB_HOOK = plain(_parse_web_hook)
STATUS_URI = plain(_parse_status_uri)
TAIL = plain(_parse_tail)
PATH = plain(_parse_path)
FOLDER = Value(lambda text, context: str(PurePosixPath(context.cwd, text)))
