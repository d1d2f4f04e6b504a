"""Reads a whole command line: options by the table, what they mean by the model, all together as settings.

As in docker's client some values are looked at when they are read, others when all are: of several errors the
same one is told as docker would.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TypeVar

from hanoverd import __version__
from hanoverd.cli.commands import BUILDER, DAEMON, MAKE_TOKENS, REMOTE, command_of
from hanoverd.cli.given import Given
from hanoverd.cli.help import usage_text
from hanoverd.cli.lexer import lex
from hanoverd.cli.remote import remote_settings
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.build import ALWAYS, BuildOptions, parse_build_arg
from hanoverd.spec.environment import parse_env
from hanoverd.spec.events import parse_hook
from hanoverd.spec.hookbot import HookbotURL, Subscription, image_of_notify, with_token
from hanoverd.spec.mounts import parse_mount
from hanoverd.spec.names import app_name_from, check_app_name
from hanoverd.spec.ports import PortRequest, check_conflicts, parse_publish
from hanoverd.spec.restart import parse_restart
from hanoverd.spec.settings import Asked, BuilderSettings, Obtaining, ServeSettings, Settings
from hanoverd.spec.source_name import BUILD, FOLDER, SourceName, parse_source
from hanoverd.spec.volumes import AnonymousVolume, Bind, check_mount_points, parse_volume
from hanoverd.text.durations import parse_whole_seconds
from hanoverd.text.quoting import quoted
from hanoverd.text.signals import parse_signal

_T = TypeVar("_T")

#: No process can catch these, so they are no notice.
_UNCATCHABLE = ("SIGKILL", "SIGSTOP")

_LAST_PORT = 65535

_TOKEN_BASE = "http://localhost:8080"  # noqa: S105  # no secret

#: Gives the schemes of the sources that are installed.
Schemes = Callable[[], Collection[str]]


class InfoRequested(Exception):  # not an error
    """The user asks for help, the version or tokens: its text is to be printed, and that is all."""


def parse(argv: Sequence[str], environ: Mapping[str, str], cwd: str, schemes: Schemes = tuple) -> Asked:
    """The settings that a command line (without the program's name) asks for.

    Raises UsageError, with docker's words and what to do, or InfoRequested where there is but something to print.
    """
    _check_text(argv)
    command, rest = command_of(argv)
    given = Given(command, environ, cwd)
    rest = lex(rest, command.options, given.take, interspersed=command in REMOTE)
    if given.boolean("help"):
        raise InfoRequested(usage_text(command))
    if command is DAEMON:
        if given.boolean("version"):
            raise InfoRequested(f"hanoverd {__version__}")
        return _settings(given, rest, schemes)
    if command is MAKE_TOKENS:
        raise InfoRequested(_tokens(given, rest))
    if command in REMOTE:
        return remote_settings(command, given, rest)
    if rest:
        raise UsageError(f"{command.name} takes no arguments, only options: {quoted(rest[0])} is one too many")
    return _builder(given) if command is BUILDER else _serve(given)


def _settings(given: Given, rest: tuple[str, ...], schemes: Schemes) -> Settings:
    """Look at what is looked at late, in docker's order: volumes, ports, other options, then the image."""
    binds, anonymous_volumes = _volumes(given)
    mounts = [parse_mount(text, given.cwd) for text in given.all("mount")]
    targets = [*(bind.target for bind in binds), *(str(mount["Target"]) for mount in mounts)]
    _together(lambda: check_mount_points(targets))
    publish = _published(given)
    status_timeout = given.duration("status-timeout")
    if status_timeout == 0:
        raise UsageError("--status-timeout 0 leaves a version no time to get ready: give it more, as in 5m")
    obtain_timeout = given.duration("obtain-timeout")
    if obtain_timeout == 0:
        raise UsageError("--obtain-timeout 0 leaves no time to obtain an image: give it more, as in 30m")
    stop_timeout = given.last("stop-timeout")
    overlap_grace = given.duration("overlap-grace-duration")
    drain_timeout = given.duration("drain-timeout")
    drain_signal = _drain_signal(given)
    stop_signal = _optional(given, "stop-signal", parse_signal)
    name = _optional(given, "name", check_app_name)
    obtaining = _obtaining(given, rest[0] if rest else None, schemes)
    return Settings(
        obtaining=obtaining,
        command=rest[1:],
        app=name or _default_app(obtaining),
        env=parse_env(given.all("env"), given.environ),
        publish=publish,
        binds=tuple(bind.spec for bind in binds),
        anonymous_volumes=anonymous_volumes,
        mounts=tuple(mounts),
        status_uri=given.last("status-uri") or "",
        status_timeout=status_timeout,
        obtain_timeout=obtain_timeout,
        disable_overlap=given.boolean("disable-overlap"),
        overlap_grace=overlap_grace,
        drain_timeout=drain_timeout,
        drain_signal=drain_signal,
        stop_timeout=None if stop_timeout is None else parse_whole_seconds(stop_timeout),
        stop_signal=stop_signal,
        restart=_late("restart", given.last("restart") or "", parse_restart),
        on_exit=given.last("on-exit") or "",
        settle=given.duration("settle"),
        watch=given.duration("watch"),
        watch_failures=_late("watch-failures", given.last("watch-failures") or "", _count),
        hooks=tuple(_late("hook", text, parse_hook) for text in given.all("hook")),
        notify=tuple(given.all("notify")),
        keep_versions=_late("keep-versions", given.last("keep-versions") or "", _number),
        log_format=given.last("log-format") or "",
    )


def _number(text: str, least: int = 0) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < least:
        raise ValueError(f"it must be a number, {least} or more")
    return int(text)


def _count(text: str) -> int:
    return _number(text, 1)


def _default_app(obtaining: Obtaining) -> str:
    """An app's name after its source; a folder's is that of the folder."""
    source = obtaining.source
    return app_name_from(obtaining.folder) if source.scheme == FOLDER else source.default_app


def _obtaining(given: Given, text: str | None, schemes: Schemes) -> Obtaining:
    """Where images come from: hookbot's topic says it, else the command line's ``text``, else the current folder."""
    hookbot = _subscription(given, given.last("hookbot") or given.environ.get("HOOKBOT_URL") or "")
    if hookbot is not None and text not in (None, BUILD):
        raise UsageError(
            f"hookbot's URL says what to obtain already ({hookbot.source.text}): write @ in the place of "
            f"{quoted(text or '')}, or nothing"
        )
    source = hookbot.source if hookbot else _source(BUILD if text is None else text, schemes)
    # What a message announces is newer than what is there.
    pull = given.last("pull") or (ALWAYS if hookbot else None)
    return _how(given, source, pull, hookbot)


def _how(given: Given, source: SourceName, pull: str | None, hookbot: Subscription | None) -> Obtaining:
    file = given.last("build-file")
    if file == "":
        raise UsageError("--build-file is empty: name the Dockerfile")
    return Obtaining(
        folder=given.cwd,
        state_folder=str(PurePosixPath(given.cwd, given.last("state-dir") or ".")),
        source=source,
        build=BuildOptions(
            file=file,
            args=dict(parse_build_arg(arg, given.environ) for arg in given.all("build-arg")),
            target=given.last("build-target"),
            no_cache=given.boolean("no-cache"),
            builder=given.last("builder") or "",
        ),
        pull=pull,
        git_protocol=given.last("git-protocol") or "",
        hookbot=hookbot,
        hookbot_ca=given.last("hookbot-ca"),
    )


def _subscription(given: Given, text: str) -> Subscription | None:
    if not text:
        return None
    try:
        url = HookbotURL.parse(text)
        if url.is_unsafe and not given.boolean("hookbot-unsafe"):
            raise ValueError(
                f"anybody may publish at {quoted(url.path)}: if that may begin what it begins, say --hookbot-unsafe"
            )
        return Subscription.of(url)
    except ValueError as error:
        raise UsageError(f"hookbot: {error}") from None


def _builder(given: Given) -> BuilderSettings:
    listen = given.last("listen") or given.environ.get("HOOKBOT_MONITOR_URL") or ""
    notify = given.last("docker-notify") or given.environ.get("HOOKBOT_DOCKER_NOTIFY_URL") or ""
    for option, variable, text in (
        ("listen", "HOOKBOT_MONITOR_URL", listen),
        ("docker-notify", "HOOKBOT_DOCKER_NOTIFY_URL", notify),
    ):
        if not text:
            raise UsageError(f"the builder needs --{option} {given.metavar(option)} (or {variable})")
    hookbot = _subscription(given, listen)
    try:
        url = HookbotURL.parse(notify)
        image = image_of_notify(url)
    except ValueError as error:
        raise UsageError(f"--docker-notify: {error}") from None
    assert hookbot is not None  # noqa: S101  # it was given
    obtaining = _how(given, hookbot.source, ALWAYS, hookbot)
    return BuilderSettings(obtaining, image, url, given.boolean("once"), given.last("log-format") or "")


def _serve(given: Given) -> ServeSettings:
    host, colon, port = (given.last("bind") or "").rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
        raise UsageError(f"--bind {quoted(given.last('bind') or '')} is no address: write [HOST]:PORT")
    cert, key = given.last("tls-cert"), given.last("tls-key")
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key need each other")
    routed = "github" in given.all("router")
    return ServeSettings(
        host=host.strip("[]"),
        port=int(port),
        tls=(cert, key) if cert is not None and key is not None else None,
        key=_secret(given, "HOOKBOT_KEY", "the secret with which tokens are made"),
        github_secret=_secret(given, "HOOKBOT_GITHUB_SECRET", "the secret of GitHub's webhooks") if routed else None,
        log_format=given.last("log-format") or "",
    )


def _tokens(given: Given, rest: tuple[str, ...]) -> str:
    if not rest:
        raise UsageError("make-tokens needs URLs, or paths as /sub/hanoverd/cwd, to make tokens for")
    key = _secret(given, "HOOKBOT_KEY", "the secret with which tokens are made")
    base = given.last("url-base") or given.environ.get("HOOKBOT_URL_BASE") or _TOKEN_BASE
    try:
        made = [with_token(text, key, base) for text in rest]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return "\n".join(bare if given.boolean("bare") else url for bare, url in made)


def _secret(given: Given, variable: str, what: str) -> str:
    secret = given.environ.get(variable)
    if not secret:
        raise UsageError(f"the environment variable {variable} is not set: it is to hold {what}")
    return secret


def _volumes(given: Given) -> tuple[list[Bind], tuple[str, ...]]:
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


def _published(given: Given) -> tuple[PortRequest, ...]:
    published: list[PortRequest] = []
    for text in given.all("publish"):
        published += _late("publish", text, parse_publish)
    _together(lambda: check_conflicts(published))
    return tuple(published)


def _drain_signal(given: Given) -> str | None:
    signal = _optional(given, "drain-signal", parse_signal)
    if signal in _UNCATCHABLE:
        raise UsageError(
            f"--drain-signal {signal} would end the old version instead of telling it: choose one that "
            "it can catch, as SIGUSR1"
        )
    return signal


def _optional(given: Given, name: str, read: Callable[[str], str]) -> str | None:
    text = given.last(name)
    return None if text is None else _late(name, text, read)


def _source(text: str, schemes: Schemes) -> SourceName:
    try:
        return parse_source(text, schemes)
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
        metavar = next(option.metavar for option in DAEMON.options if option.name == name)
        raise UsageError(f"{error} (in --{name} {quoted(text)}, which takes {metavar})") from None


def _together(check: Callable[[], None]) -> None:
    """Check what several options come to together."""
    try:
        check()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _check_text(argv: Sequence[str]) -> None:
    # What Python could not decode it keeps as surrogates, which no JSON for the engine can hold.
    for argument in argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"the argument {argument!a} is not UTF-8: write it in UTF-8") from None
