"""Command lines without their secrets: every user of a host can list the processes and their arguments.

The secrets are passed in environment variables instead, which other users cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from hanoverd.cli.options.option import Option, Secret

#: The environment variable of the texts of options that are hidden, as a JSON array, in their order.
SECRETS = "HANOVERD_SECRETS"

#: What is in their places.
_MASK = "***"

_HIDDEN = (Secret.AFTER_EQUALS, Secret.ALL)


def without_secrets(line: Sequence[tuple[Option, str]]) -> tuple[list[str], dict[str, str]]:
    """Return the arguments for the options ``line``, without secrets, and the environment that has those."""
    arguments: list[str] = []
    environ: dict[str, str] = {}
    hidden: list[str] = []
    for option, text in line:
        shown = text
        if option.secret is Secret.TOKEN and option.variable is not None and "@" in text:
            environ[option.variable] = text
            continue
        if option.secret in _HIDDEN:
            hidden.append(text)
            shown = _mask(option, text)
        arguments.append(f"--{option.name}={shown}")
    if any(_MASK in argument for argument in arguments):
        environ[SECRETS] = json.dumps(hidden)
    return arguments, environ


class Unhiding:
    """Restores the texts of options that ``without_secrets`` has hidden; called for each option in turn."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._hidden: Iterator[str] | None = iter(json.loads(environ[SECRETS])) if SECRETS in environ else None

    def text(self, option: Option, text: str) -> str:
        """Return the text of ``option`` before it was hidden."""
        return next(self._hidden) if self._hidden is not None and option.secret in _HIDDEN else text


def _mask(option: Option, text: str) -> str:
    name, assigned, _ = text.partition("=")
    if option.secret is Secret.ALL:
        return _MASK
    return f"{name}={_MASK}" if assigned else text
