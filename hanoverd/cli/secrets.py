"""Command lines without what is not for everybody: all users can list those of a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from hanoverd.cli.commands import REMOTE, command_of
from hanoverd.cli.lexer import lex
from hanoverd.cli.options import Option

#: Options that hold tokens, and the variables that stand for them.
_IN_ENVIRONMENT = {
    "hookbot": "HOOKBOT_URL",
    "listen": "HOOKBOT_MONITOR_URL",
    "docker-notify": "HOOKBOT_DOCKER_NOTIFY_URL",
}

#: Options whose values may be secrets, and the variable that holds them, as a JSON array, where they are not shown.
_HIDDEN = ("env", "build-arg", "notify")
SECRETS = "HANOVERD_SECRETS"

#: What stands in their places.
_HIDES = "***"


def without_secrets(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """A command line that is right, without what is not for everybody, and the environment that tells it instead: URLs
    that hold tokens, and the values of variables, in the order in which they stand.
    """
    command, arguments = command_of(argv)
    options: list[str] = []
    environ: dict[str, str] = {}
    hidden: list[str] = []

    def take(option: Option, text: str) -> None:
        variable = _IN_ENVIRONMENT.get(option.name)
        if variable is not None and "@" in text:
            environ[variable] = text
            return
        if option.name in _HIDDEN:
            hidden.append(text)
            text = _shown(option, text)
        options.append(f"--{option.name}={text}")

    if command in REMOTE:
        return list(argv), {}
    rest = lex(arguments, command.options, take)
    if any(_HIDES in option for option in options):
        environ[SECRETS] = json.dumps(hidden)
    return [*command.name.split(), *options, *(["--", *rest] if rest else [])], environ


def with_secrets(argv: Sequence[str], environ: Mapping[str, str]) -> list[str]:
    """The command line from which ``without_secrets`` made this one and this environment."""
    if SECRETS not in environ:
        return list(argv)
    command, arguments = command_of(argv)
    hidden = iter(json.loads(environ[SECRETS]))
    options: list[str] = []

    def take(option: Option, text: str) -> None:
        options.append(f"--{option.name}={next(hidden) if option.name in _HIDDEN else text}")

    rest = lex(arguments, command.options, take)
    return [*command.name.split(), *options, *(["--", *rest] if rest else [])]


def _shown(option: Option, text: str) -> str:
    name, assigned, _ = text.partition("=")
    if option.name == "notify":
        return _HIDES
    return f"{name}={_HIDES}" if assigned else text
