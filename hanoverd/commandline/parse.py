"""Reads a whole command line: options by the table, what they mean by the model, all together as settings.

As in docker's client some values are looked at when they are read, others when all are: of several errors the
same one is told as docker would.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from hanoverd import __version__
from hanoverd.commandline.help import usage_text
from hanoverd.commandline.lexer import lex
from hanoverd.commandline.settings import Settings
from hanoverd.commandline.table import OPTIONS, Kind, Option
from hanoverd.errors import UsageError
from hanoverd.model.booleans import parse_boolean
from hanoverd.model.durations import parse_duration, parse_whole_seconds
from hanoverd.model.environment import parse_env
from hanoverd.model.images import ImageName
from hanoverd.model.mounts import parse_mount
from hanoverd.model.names import app_name_from, check_app_name
from hanoverd.model.publish import Publish, check_publish, parse_publish
from hanoverd.model.quoting import quoted
from hanoverd.model.signals import parse_signal
from hanoverd.model.volumes import AnonymousVolume, Bind, check_mount_points, parse_volume

_T = TypeVar("_T")

#: In the place of IMAGE: build the current folder.
_BUILD = "@"

_DURATIONS = ("status-timeout", "overlap-grace-duration", "drain-timeout")

#: No process can catch these, so they are no notice.
_UNCATCHABLE = ("SIGKILL", "SIGSTOP")


class InfoRequested(Exception):  # not an error
    """The user asks for help or the version: its text is to be printed, and that is all."""


def parse(argv: Sequence[str], environ: Mapping[str, str], cwd: str) -> Settings:
    """The settings that a command line (without the program's name) asks for.

    Raises UsageError, with docker's words and what to do, or InfoRequested for ``--help`` and ``--version``.
    """
    _check_text(argv)
    given = _Given(environ, cwd)
    rest = lex(argv, OPTIONS, given.take)
    if given.boolean("help"):
        raise InfoRequested(usage_text())
    if given.boolean("version"):
        raise InfoRequested(f"hanoverd {__version__}")
    return _settings(given, rest)


class _Given:
    """The values of the options that were given, looked at one by one as they are read."""

    def __init__(self, environ: Mapping[str, str], cwd: str) -> None:
        self.environ = environ
        self.cwd = cwd
        self._texts: dict[str, list[str]] = {option.name: [] for option in OPTIONS}
        self._defaults = {option.name: option.default for option in OPTIONS}
        self._checks: dict[str, Callable[[str], object]] = {
            **{option.name: parse_boolean for option in OPTIONS if option.kind is Kind.BOOLEAN},
            **dict.fromkeys(_DURATIONS, parse_duration),
            "env": lambda text: parse_env([text], environ),
            "mount": lambda text: parse_mount(text, cwd),
            "status-uri": _status_uri,
            "stop-timeout": parse_whole_seconds,
        }

    def take(self, option: Option, text: str) -> None:
        """Keep a value, if it is right as far as can be seen at once."""
        try:
            self._checks.get(option.name, str)(text)
        except ValueError as error:
            raise UsageError(f"invalid argument {quoted(text)} for {quoted(option.flags)} flag: {error}") from None
        self._texts[option.name].append(text)

    def all(self, name: str) -> list[str]:
        """All values of a repeated option, as they stand."""
        return self._texts[name]

    def last(self, name: str) -> str | None:
        """The value that counts, as it stands; the default where none was given."""
        texts = self._texts[name]
        return texts[-1] if texts else self._defaults[name]

    def boolean(self, name: str) -> bool:
        """Whether a boolean option is on."""
        return parse_boolean(self.last(name) or "false")

    def duration(self, name: str) -> float:
        """The seconds of a duration; UsageError for less than none."""
        text = self.last(name) or "0"
        seconds = parse_duration(text)
        if seconds < 0:
            raise UsageError(f"--{name} cannot be negative ({text} was given; 0 is the least)")
        return seconds


def _settings(given: _Given, rest: tuple[str, ...]) -> Settings:
    """Look at what is looked at late, in docker's order: volumes, ports, other options, then the image."""
    binds, anonymous_volumes = _volumes(given)
    mounts = [parse_mount(text, given.cwd) for text in given.all("mount")]
    targets = [*(bind.target for bind in binds), *(str(mount["Target"]) for mount in mounts)]
    _together(lambda: check_mount_points(targets))
    publish = _published(given)
    status_timeout = given.duration("status-timeout")
    if status_timeout == 0:
        raise UsageError("--status-timeout 0 leaves a version no time to get ready: give it more, as in 5m")
    stop_timeout = given.last("stop-timeout")
    overlap_grace = given.duration("overlap-grace-duration")
    drain_timeout = given.duration("drain-timeout")
    drain_signal = _drain_signal(given)
    stop_signal = _optional(given, "stop-signal", parse_signal)
    name = _optional(given, "name", check_app_name)
    image = _image(rest[0]) if rest and rest[0] != _BUILD else None
    return Settings(
        folder=given.cwd,
        image=image,
        command=rest[1:],
        app=name or app_name_from(image.repository if image else given.cwd),
        env=parse_env(given.all("env"), given.environ),
        publish=publish,
        binds=tuple(bind.spec for bind in binds),
        anonymous_volumes=anonymous_volumes,
        mounts=tuple(mounts),
        status_uri=given.last("status-uri") or "",
        status_timeout=status_timeout,
        disable_overlap=given.boolean("disable-overlap"),
        overlap_grace=overlap_grace,
        drain_timeout=drain_timeout,
        drain_signal=drain_signal,
        stop_timeout=None if stop_timeout is None else parse_whole_seconds(stop_timeout),
        stop_signal=stop_signal,
    )


def _volumes(given: _Given) -> tuple[list[Bind], tuple[str, ...]]:
    binds: list[Bind] = []
    anonymous: list[str] = []

    def read(text: str) -> Bind | AnonymousVolume:
        return parse_volume(text, given.cwd)

    # What is given twice in the same words counts once.
    for text in dict.fromkeys(given.all("volume")):
        volume = _late("volume", text, read)
        if isinstance(volume, Bind):
            binds.append(volume)
        else:
            anonymous.append(volume.path)
    return binds, tuple(anonymous)


def _published(given: _Given) -> tuple[Publish, ...]:
    published: list[Publish] = []
    for text in given.all("publish"):
        published += _late("publish", text, parse_publish)
    _together(lambda: check_publish(published))
    return tuple(published)


def _drain_signal(given: _Given) -> str | None:
    signal = _optional(given, "drain-signal", parse_signal)
    if signal in _UNCATCHABLE:
        raise UsageError(
            f"--drain-signal {signal} would end the old version instead of telling it: choose one that "
            "it can catch, as SIGUSR1"
        )
    return signal


def _optional(given: _Given, name: str, read: Callable[[str], str]) -> str | None:
    text = given.last(name)
    return None if text is None else _late(name, text, read)


def _image(text: str) -> ImageName:
    try:
        return ImageName.parse(text)
    except ValueError as error:
        raise UsageError(
            f"{error} ({quoted(text)} is taken for IMAGE, the first argument that is no option; "
            "write [HOST/]NAME[:TAG] in lower case)"
        ) from None


def _late(name: str, text: str, read: Callable[[str], _T]) -> _T:
    """What ``read`` returns; its ValueError as docker tells late ones, with the option that it comes from."""
    try:
        return read(text)
    except ValueError as error:
        metavar = next(option.metavar for option in OPTIONS if option.name == name)
        raise UsageError(f"{error} (in --{name} {quoted(text)}, which takes {metavar})") from None


def _together(check: Callable[[], None]) -> None:
    """Check what several options come to together."""
    try:
        check()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _status_uri(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("it must begin with / (write the path alone, as in /health)")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it holds a character that must be percent-encoded (%20 is a blank)")
    return text


def _check_text(argv: Sequence[str]) -> None:
    # What Python could not decode it keeps as surrogates, which no JSON for the engine can hold.
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!a} is not UTF-8: write it in UTF-8") from None
