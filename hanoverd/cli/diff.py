"""The command ``hanoverd diff``, from a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hanoverd.cli.app import Schemes, app_spec, check_with_engine_rules
from hanoverd.cli.given import Given
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.log import TEXT
from hanoverd.spec.programs import DiffSpec, RemoteCommand

#: The options that say how differences are shown, and what is compared; all others are of a start.
_OWN = frozenset({"format", "help", "name"})


def diff_spec(given: Given, rest: Sequence[str], schemes: Schemes) -> DiffSpec | RemoteCommand:
    """Return what to compare the live version with: what a start with these options would make, if there are any, else what
    the running daemon makes next.

    UsageError for options that a start would refuse.
    """
    app = given.value("name")
    if app is None:
        raise UsageError("diff needs the name of an app (`hanoverd list` shows them): write hanoverd diff APP")
    is_json = given.value("format")
    if not rest and all(option.name in _OWN for option, _ in given.line):
        return RemoteCommand("diff", app, json=is_json)
    spec = app_spec(given, rest, schemes)
    problems = check_with_engine_rules(given, spec)
    if problems:
        raise UsageError(problems[0])
    return DiffSpec(replace(spec, log_format=TEXT), is_json)
