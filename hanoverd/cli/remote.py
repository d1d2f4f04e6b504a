"""Reads the command lines of the commands that speak with a running daemon."""

from __future__ import annotations

from difflib import get_close_matches

from hanoverd.cli.commands import COMMANDS, LIST, ROLLBACK, Command
from hanoverd.cli.given import Given
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.names import check_app_name
from hanoverd.spec.settings import Asked, RemoteSettings, Settings
from hanoverd.text.quoting import quoted


def remote_settings(command: Command, given: Given, rest: tuple[str, ...]) -> RemoteSettings:
    """What ``command`` is asked for, once its options are ``given``; fails with UsageError."""
    words = 0 if command is LIST else 2 if command is ROLLBACK else 1
    if len(rest) > words:
        raise UsageError(f"{command.name} does not take {quoted(rest[words])}: write {command.usage}")
    if words and not rest:
        raise UsageError(f"{command.name} needs the name of an app (`hanoverd list` shows them): write {command.usage}")
    image = given.last("image")
    if image is not None:
        try:
            ImageName.parse(image)
        except ValueError as error:
            raise UsageError(f"{error} (in --image {quoted(image)})") from None
    tail = given.last("tail") or "all"
    return RemoteSettings(
        verb=command.name,
        app=_app_name(rest[0]) if rest else "",
        json=given.boolean("json") or given.last("format") == "json",
        trunc=not given.boolean("no-trunc"),
        quiet=given.boolean("quiet"),
        watch=given.boolean("watch"),
        wait=given.boolean("wait"),
        follow=given.boolean("follow"),
        tail=None if tail == "all" else int(tail),
        source=_log_source(given),
        since=None if given.last("since") is None else given.duration("since"),
        timestamps=given.boolean("timestamps"),
        image=image,
        generation=_generation(rest[1]) if len(rest) > 1 else None,
    )


def _log_source(given: Given) -> str:
    chosen = [source for source in ("app", "daemon") if given.boolean(source)]
    return chosen[0] if len(chosen) == 1 else ""


def mistyped(settings: Asked) -> str | None:
    """The command that may be meant by what is taken for an image's name."""
    if not isinstance(settings, Settings) or settings.obtaining.hookbot is not None:
        return None
    near = get_close_matches(settings.obtaining.source.text, [command.name for command in COMMANDS], n=1, cutoff=0.8)
    return near[0] if near else None


def _app_name(text: str) -> str:
    try:
        return check_app_name(text)
    except ValueError as error:
        raise UsageError(f"{error}: write the name of an app (`hanoverd list` shows them)") from None


def _generation(text: str) -> int:
    # As the number alone, or as it ends the version's name.
    number = text.rpartition("-")[2]
    if not number.isascii() or not number.isdigit():
        raise UsageError(f"{quoted(text)} is no generation: write a number, as `hanoverd status` lists them")
    return int(number)
