"""Makes the specification that a command line asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from hanoverd import __version__
from hanoverd.cli.app import Schemes, app_spec, check_with_engine_rules
from hanoverd.cli.command import Command
from hanoverd.cli.commands import (
    BUILDER,
    COMMANDS,
    DAEMON,
    DIFF,
    HELP_COMMAND,
    REMOTE,
    VERSION_COMMAND,
    WEB,
)
from hanoverd.cli.container import port_warnings
from hanoverd.cli.diff import diff_spec
from hanoverd.cli.dry_run import dry_run
from hanoverd.cli.given import Given
from hanoverd.cli.help import usage_text
from hanoverd.cli.hookbot_commands import MAKE_TOKENS
from hanoverd.cli.line import CommandLine, InfoRequested, read_line
from hanoverd.cli.programs import builder_spec, remote_command, server_spec, tokens, web_spec
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.programs import BuilderSpec, DiffSpec, HookbotServerSpec, RemoteCommand
from hanoverd.spec.web import WebSpec
from hanoverd.text.quoting import quoted

#: A program that runs until it is stopped, or that needs a reactor until it is done.
ServiceSpec = AppSpec | BuilderSpec | HookbotServerSpec | DiffSpec | WebSpec

AnySpec = ServiceSpec | RemoteCommand


def parse(argv: Sequence[str], environ: Mapping[str, str], cwd: str, schemes: Schemes = tuple) -> AnySpec:
    """Return the specification that the arguments of a process ask for; see ``specification``."""
    return specification(read_line(argv, environ, cwd), schemes)


def specification(line: CommandLine, schemes: Schemes = tuple) -> AnySpec:
    """Return the specification that a command line asks for.

    Raises UsageError, with docker's words and what to do, or InfoRequested if there is only a text to print.
    """
    command, given, rest = line.command, line.given, line.rest
    if given.value("help"):
        raise InfoRequested(usage_text(command))
    if command is VERSION_COMMAND or (command is DAEMON and given.value("version")):
        raise InfoRequested(f"hanoverd {__version__}")
    if command is HELP_COMMAND:
        raise InfoRequested(usage_text(_named(rest)))
    given.finish()
    if command is DAEMON:
        return _checked_app_spec(given, rest, schemes)
    if command is MAKE_TOKENS:
        raise InfoRequested(tokens(given, rest))
    if command is DIFF:
        return diff_spec(given, rest, schemes)
    if command in REMOTE:
        return remote_command(command, given, rest)
    if rest:
        raise UsageError(f"{command.name} takes no arguments, only options: {quoted(rest[0])} is one too many")
    if command is WEB:
        return web_spec(given)
    return builder_spec(given) if command is BUILDER else server_spec(given)


def _checked_app_spec(given: Given, rest: Sequence[str], schemes: Schemes) -> AppSpec:
    spec = app_spec(given, rest, schemes)
    problems = check_with_engine_rules(given, spec)
    if given.value("dry-run"):
        warnings = [f"the engine, or hanoverd, refuses it: {one}" for one in problems]
        raise InfoRequested(dry_run(given, spec), [*port_warnings(spec.container), *warnings])
    if problems:
        raise UsageError(problems[0])
    return spec


def _named(words: Sequence[str]) -> Command:
    name = " ".join(words)
    for command in (DAEMON, *COMMANDS):
        if command.name == name:
            return command
    raise UsageError(f"there is no command {quoted(name)}: `hanoverd help` shows all commands")


def warnings(spec: AnySpec) -> list[str]:
    """Return what the user may not have meant, although it is carried out."""
    if not isinstance(spec, AppSpec):
        return []
    found = port_warnings(spec.container)
    if command := mistyped(spec):
        found.append(f"this is read as the name of an image; the command is `hanoverd {command}`")
    return found


def mistyped(spec: AnySpec) -> str | None:
    """Return the command that the user may have meant, if the name of the image looks like one."""
    if not isinstance(spec, AppSpec) or spec.hookbot is not None:
        return None
    near = get_close_matches(spec.source.name.text, [command.name for command in COMMANDS], n=1, cutoff=0.8)
    return near[0] if near else None
