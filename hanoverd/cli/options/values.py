"""The values that options take: how their text is read, and what is checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from hanoverd.runtime.input_files import read_input_file
from hanoverd.spec.run.pairs import parse_label, parse_pair
from hanoverd.text.booleans import parse_boolean
from hanoverd.text.durations import parse_duration, parse_nanoseconds, parse_whole_seconds
from hanoverd.text.moments import parse_moment
from hanoverd.text.numbers import parse_billionths, parse_integer
from hanoverd.text.signals import check_signal, parse_signal
from hanoverd.text.sizes import parse_size

#: No process can catch these.
_UNCATCHABLE = ("SIGKILL", "SIGSTOP")


@dataclass(frozen=True)
class Context:
    """What the meaning of a text depends on: the environment, and the current folder."""

    environ: Mapping[str, str]
    cwd: str

    def open_file(self, path: str) -> bytes:
        """Return the contents of a file; OSError."""
        return read_input_file(PurePosixPath(self.cwd, path))

    def exists(self, path: str) -> bool:
        """Return whether a file or a folder exists."""
        return Path(self.cwd, path).exists()

    def is_regular(self, path: str) -> bool:
        """Return whether a path is a regular file, which can be read more than once."""
        return Path(self.cwd, path).is_file()

    def read_file(self, path: str, kind: str = "") -> bytes:
        """Return the contents of a file that an option names; ValueError, in docker's words.

        ``kind`` is what docker calls a file that it can open but not read.
        """
        try:
            return self.open_file(path)
        except IsADirectoryError:
            raise ValueError(f"invalid {kind} file ({path}): read {path}: is a directory") from None
        except OSError as error:
            raise ValueError(f"open {path}: {(error.strerror or str(error)).lower()}") from None


def _accept(_: object) -> None:
    """Accept every value."""


@dataclass(frozen=True)
class Value:
    """A kind of value.

    ``read`` makes it of the text, or raises ValueError.  That happens while the command line is read, or if ``is_late``
    when all of it was read: docker reports some errors only then.  ``check`` also runs then; the message of its
    ValueError continues ``--NAME``, unless it ``is_whole_message``.  ``join`` makes one value of all values of an option that
    is given several times, or raises ValueError.  ``engine`` raises ValueError for what docker's client sends and the
    engine refuses when it creates a container.
    """

    read: Callable[[str, Context], Any]
    is_late: bool = False
    check: Callable[[Any], None] = _accept
    join: Callable[[Sequence[Any]], Any] = tuple
    engine: Callable[[Any], None] = _accept
    is_whole_message: bool = False


def plain(parse: Callable[[str], Any], *, is_late: bool = False, join: Callable[[Sequence[Any]], Any] = tuple) -> Value:
    """Return the kind of value that ``parse`` reads from the text alone."""
    return Value(lambda text, _: parse(text), is_late, join=join)


def repeated(parse: Callable[[str], Any]) -> Value:
    """Return the kind of value that ``parse`` reads from the text alone, as a list."""
    return plain(parse, join=list)


def refused(value: Value, reason: str, *, unless: object = False) -> Value:
    """Return a kind of value that is read as ``value``, and refused for ``reason`` unless it is ``unless``."""

    def check(given: object) -> None:
        if given != unless:
            raise ValueError(f": {reason}")

    return replace(value, check=check)


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


def _read_secret(path: str, context: Context) -> str:
    # Editors and echo(1) end the line.
    secret = context.read_file(path, "secret").rstrip(b"\r\n")
    if not secret:
        raise ValueError(f"the file {path} is empty")
    return os.fsdecode(secret)


TEXT = plain(str)
INTEGER = plain(parse_integer)
SIZE = plain(parse_size)
BILLIONTHS = plain(parse_billionths)
NANOSECONDS = plain(parse_nanoseconds)
LABEL = plain(parse_label, join=dict)
PAIR = plain(parse_pair, join=dict)
BOOLEAN = plain(parse_boolean)
NOT = plain(lambda text: not parse_boolean(text))
DURATION = replace(plain(parse_duration), check=_not_negative)
POSITIVE_DURATION = replace(DURATION, check=_positive)
POSITIVE_SIZE = replace(SIZE, check=_not_empty)
WHOLE_SECONDS = plain(parse_whole_seconds)
SIGNAL = replace(TEXT, engine=check_signal)
CATCHABLE_SIGNAL = plain(_parse_catchable_signal, is_late=True)
WEB_HOOK = plain(_parse_web_hook)
STATUS_URI = plain(_parse_status_uri)
TAIL = plain(_parse_tail)
MOMENT = plain(parse_moment)
PATH = plain(_parse_path)
FOLDER = Value(lambda text, context: str(PurePosixPath(context.cwd, text)))
SECRET_FILE = Value(_read_secret, is_late=True)
#: As in docker, an empty path is the same as none.
FILE = Value(lambda text, context: str(PurePosixPath(context.cwd, text)) if text else "")
