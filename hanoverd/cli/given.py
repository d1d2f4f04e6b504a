"""The values that a command line gives its options, each looked at as it is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from hanoverd.cli.commands import Command
from hanoverd.cli.options import Kind, Option
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.build import BUILDERS, PULLS, parse_build_arg
from hanoverd.spec.environment import parse_env
from hanoverd.spec.mounts import parse_mount
from hanoverd.text.booleans import parse_boolean
from hanoverd.text.durations import parse_duration, parse_whole_seconds
from hanoverd.text.quoting import quoted

_DURATIONS = ("status-timeout", "obtain-timeout", "overlap-grace-duration", "drain-timeout", "settle", "watch", "since")

#: What some options take, and nothing else.
_CHOICES = {
    "builder": BUILDERS,
    "pull": PULLS,
    "git-protocol": ("https", "ssh"),
    "router": ("github",),
    "on-exit": ("stop", "keep"),
    "format": ("table", "json"),
    "log-format": ("text", "json"),
}


class Given:
    """The values of the options that were given, looked at one by one as they are read."""

    def __init__(self, command: Command, environ: Mapping[str, str], cwd: str) -> None:
        self.environ = environ
        self.cwd = cwd
        self._options = {option.name: option for option in command.options}
        self._texts: dict[str, list[str]] = {option.name: [] for option in command.options}
        self._checks: dict[str, Callable[[str], object]] = {
            **dict.fromkeys(_DURATIONS, parse_duration),
            **{option.name: parse_boolean for option in command.options if option.kind is Kind.BOOLEAN},
            **{name: _one_of(choices) for name, choices in _CHOICES.items()},
            "env": lambda text: parse_env([text], environ),
            "build-arg": lambda text: parse_build_arg(text, environ),
            "mount": lambda text: parse_mount(text, cwd),
            "notify": _web_hook,
            "status-uri": _status_uri,
            "stop-timeout": parse_whole_seconds,
            "tail": _tail,
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
        texts = self._texts.get(name, [])
        if texts:
            return texts[-1]
        return self._options[name].default if name in self._options else None

    def metavar(self, name: str) -> str:
        """What an option takes, in words."""
        return self._options[name].metavar

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


def _one_of(choices: Collection[str]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if text not in choices:
            raise ValueError(f"it must be {' or '.join(choices)}")

    return check


def _web_hook(text: str) -> None:
    if not re.fullmatch(r"https?://[^\s/]+(?:/\S*)?", text):
        raise ValueError("it must be a URL, https://HOST/…")


def _tail(text: str) -> None:
    if text != "all" and not (text.isascii() and text.isdigit()):
        raise ValueError("it must be a number, or all")


def _status_uri(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("it must begin with / (write the path alone, as in /health)")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("it holds a character that must be percent-encoded (%20 is a blank)")
    return text
