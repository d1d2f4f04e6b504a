"""Reads the command line into settings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hanoverd import __version__
from hanoverd.commandline.help import help_text
from hanoverd.commandline.lexer import Given, Lexer, invalid
from hanoverd.commandline.settings import Settings
from hanoverd.commandline.table import OPTIONS
from hanoverd.errors import UsageError
from hanoverd.model.durations import parse_duration
from hanoverd.model.environment import parse_env
from hanoverd.model.images import ImageName
from hanoverd.model.mounts import parse_mount
from hanoverd.model.names import app_name_from, check_app_name
from hanoverd.model.publish import check_publish, parse_publish
from hanoverd.model.signals import parse_signal
from hanoverd.model.volumes import AnonymousVolume, Bind, parse_volume

T = TypeVar("T")

#: IMAGE for the Dockerfile of the current folder, where arguments are to follow.
CURRENT_FOLDER = "@"


class InfoRequested(Exception):
    """The user asked for help or the version, not for a daemon; the text is the answer."""


def parse(argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> Settings:
    """Read the arguments ``argv`` (without the program's name), relative paths and the app's name from ``cwd``.

    Fails with ``UsageError`` at the first thing that is wrong, and with ``InfoRequested`` for --help and --version.
    """
    lexer = Lexer(OPTIONS, argv)
    given = _Options()
    for one in lexer:
        if one.option.name == "help" and one.value == "true":
            raise InfoRequested(help_text())
        if one.option.name == "version" and one.value == "true":
            raise InfoRequested(f"hanoverd {__version__}")
        given.add(one)
    image, command = _image(lexer.rest)
    publish = tuple(port for ports in given.all("publish", parse_publish) for port in ports)
    _told(lambda: check_publish(publish))
    volumes = given.all("volume", lambda text: parse_volume(text, cwd))
    return Settings(
        folder=cwd,
        image=image,
        command=command,
        app=given.one("name", check_app_name) or app_name_from(image.repository if image else cwd),
        env=_told(lambda: parse_env(given.all("env", str), environ)),
        publish=publish,
        binds=tuple(volume.spec for volume in volumes if isinstance(volume, Bind)),
        anonymous_volumes=tuple(volume.path for volume in volumes if isinstance(volume, AnonymousVolume)),
        mounts=given.all("mount", lambda text: parse_mount(text, cwd)),
        status_uri=given.required("status-uri", _status_uri),
        status_timeout=given.required("status-timeout", _not_negative),
        disable_overlap=given.one("disable-overlap", str) == "true",
        overlap_grace=given.required("overlap-grace-duration", _not_negative),
        drain_timeout=given.required("drain-timeout", _not_negative),
        drain_signal=given.one("drain-signal", parse_signal),
        stop_timeout=given.one("stop-timeout", _stop_timeout),
        stop_signal=given.one("stop-signal", parse_signal),
    )


class _Options:
    """The options that were given, by name; of one that is not repeatable the last counts."""

    def __init__(self) -> None:
        self._given: dict[str, list[Given]] = {}

    def add(self, given: Given) -> None:
        self._given.setdefault(given.option.name, []).append(given)

    def all(self, name: str, read: Callable[[str], T]) -> tuple[T, ...]:
        return tuple(_read(given, read) for given in self._given.get(name, []))

    def one(self, name: str, read: Callable[[str], T]) -> T | None:
        values = self.all(name, read)
        return values[-1] if values else None

    def required(self, name: str, read: Callable[[str], T]) -> T:
        """The value of an option that has a default in the table."""
        [default] = [option.default for option in OPTIONS if option.name == name]
        value = self.one(name, read)
        return read(default or "") if value is None else value


def _read(given: Given, read: Callable[[str], T]) -> T:
    try:
        return read(given.value)
    except ValueError as error:
        raise invalid(given, error) from None


def _told(check: Callable[[], T]) -> T:
    try:
        return check()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _image(arguments: Sequence[str]) -> tuple[ImageName | None, tuple[str, ...]]:
    if not arguments:
        return None, ()
    name, *command = arguments
    image = None if name == CURRENT_FOLDER else _told(lambda: ImageName.parse(name))
    return image, tuple(command)


def _status_uri(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"a status URI must begin with /: write /{text}")
    if re.search(r"[\x00-\x20\x7f#]", text) or not text.isascii():
        raise ValueError("a status URI holds no blanks, control characters, # or letters beyond ASCII: write them as %XX")
    return text


def _not_negative(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < 0:
        raise ValueError("a time cannot be negative")
    return seconds


def _stop_timeout(text: str) -> int:
    if re.fullmatch(r"-?\d+", text, re.ASCII):
        seconds = float(text)
    else:
        seconds = parse_duration(text)
    if seconds < 0 and seconds != -1:
        raise ValueError("it is a number of seconds, such as 10, a duration, such as 1m30s, or -1 to wait for ever")
    # The engine counts in whole seconds: rather one too many.
    return math.ceil(seconds)
