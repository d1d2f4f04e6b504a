"""The specifications of the builder, the hookbot server, the page and the commands for a running daemon, from a command line."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from hanoverd.cli.app import complete_source, hookbot_spec
from hanoverd.cli.command import Command
from hanoverd.cli.commands import EVENTS, LOGS
from hanoverd.cli.given import Given
from hanoverd.hookbot.tokens import url_with_token
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.event_id import EventID
from hanoverd.spec.hookbot import HookbotURL, image_of_notify
from hanoverd.spec.names import check_app_name
from hanoverd.spec.programs import BuilderSpec, HookbotServerSpec, RemoteCommand
from hanoverd.spec.web import WebSpec
from hanoverd.text.quoting import quoted

_LAST_PORT = 65535

_TOKEN_BASE = "http://localhost:8080"  # noqa: S105  # not a secret

_KEY = "the secret that tokens are made with"
_GITHUB_SECRET = "the secret of GitHub's webhooks"  # noqa: S105  # not a secret


def builder_spec(given: Given) -> BuilderSpec:
    """Return the specification of a builder; UsageError."""
    for option, variable in (("listen", "HOOKBOT_MONITOR_URL"), ("docker-notify", "HOOKBOT_DOCKER_NOTIFY_URL")):
        if not given.value(option):
            raise UsageError(f"the builder needs --{option} {given.metavar(option)} (or {variable})")
    hookbot = hookbot_spec(given, "listen")
    assert hookbot is not None  # noqa: S101  # checked above
    try:
        url = HookbotURL.parse(given.value("docker-notify"))
        image = image_of_notify(url)
    except ValueError as error:
        raise UsageError(f"--docker-notify: {error}") from None
    tree = given.tree()
    complete_source(tree, given, hookbot.subscription.source)
    tree |= {"hookbot": hookbot, "image": image, "notify": url}
    return tree.make(BuilderSpec)


def server_spec(given: Given) -> HookbotServerSpec:
    """Return the specification of a hookbot server; UsageError."""
    host, port = _address(given)
    cert, key = given.value("tls-cert"), given.value("tls-key")
    if (cert is None) != (key is None):
        raise UsageError("--tls-cert and --tls-key need each other")
    return HookbotServerSpec(
        # Tokens must not cross a network in the clear by accident.
        host=host or ("127.0.0.1" if cert is None else ""),
        port=port,
        tls=None if cert is None else (cert, key),
        per_address=given.value("connections-per-address") or None,
        key=_secret(given, "HOOKBOT_KEY", _KEY),
        github_secret=_secret(given, "HOOKBOT_GITHUB_SECRET", _GITHUB_SECRET) if given.value("router") else None,
        log_format=given.value("log-format"),
    )


def web_spec(given: Given) -> WebSpec:
    """Return the specification of the page; UsageError."""
    host, port = _address(given)
    try:
        address = ip_address({"": "127.0.0.1", "localhost": "127.0.0.1"}.get(host, host))
    except ValueError:
        raise UsageError(
            f"--bind {quoted(given.value('bind'))}: write an IP address of this host, not a name"
        ) from None
    tree = given.tree()
    tree |= {"host": str(address), "port": port}
    return tree.make(WebSpec)


def _address(given: Given) -> tuple[str, int]:
    """Return the host, without brackets, and the port of ``--bind``; UsageError."""
    bind = given.value("bind")
    host, colon, port = bind.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
        raise UsageError(f"--bind {quoted(bind)} is no address: write [HOST]:PORT")
    return host.strip("[]"), int(port)


def tokens(given: Given, rest: Sequence[str]) -> str:
    """Return the URLs ``rest`` with their tokens, or only these, one a line; UsageError."""
    if not rest:
        raise UsageError("make-tokens needs URLs, or paths such as /sub/hanoverd/cwd, to make tokens for")
    key = _secret(given, "HOOKBOT_KEY", _KEY)
    try:
        made = [url_with_token(text, key, given.value("url-base") or _TOKEN_BASE) for text in rest]
    except ValueError as error:
        raise UsageError(str(error)) from None
    return "\n".join(bare if given.value("bare") else url for bare, url in made)


def _secret(given: Given, variable: str, meaning: str) -> str:
    secret = given.context.environ.get(variable)
    if not secret:
        raise UsageError(f"the environment variable {variable} is not set: it has to be {meaning}")
    return secret


def remote_command(command: Command, given: Given, rest: Sequence[str]) -> RemoteCommand:
    """Return the command for a running daemon; UsageError for missing arguments, or too many."""
    limit = len(command.arguments)
    if len(rest) > limit:
        raise UsageError(f"{command.name} does not take {quoted(rest[limit])}: write {command.usage}")
    if limit and not rest:
        raise UsageError(f"{command.name} needs the name of an app (`hanoverd list` shows them): write {command.usage}")
    tree = given.tree()
    tree["verb"] = command.name
    if command is LOGS:
        tree["source"] = _log_source(given)
    if command is EVENTS:
        since = given.value("since")
        tree |= {"since_id": str(since)} if isinstance(since, EventID) else {"since": since}
    if rest:
        tree["app"] = _app_name(rest[0])
    if len(rest) > 1:
        tree["version"] = _version_number(rest[1])
    return tree.make(RemoteCommand)


def _log_source(given: Given) -> str:
    chosen = [source for source in ("app", "daemon") if given.value(source)]
    return chosen[0] if len(chosen) == 1 else ""


def _app_name(text: str) -> str:
    try:
        return check_app_name(text)
    except ValueError as error:
        raise UsageError(f"{error}: write the name of an app (`hanoverd list` shows them)") from None


def _version_number(text: str) -> int:
    # The number alone, or a version's name, which ends with it.
    number = text.rpartition("-")[2]
    if not number.isascii() or not number.isdigit():
        raise UsageError(
            f"{quoted(text)} is no version: write its name or number, as `hanoverd versions APP` lists them"
        )
    return int(number)
