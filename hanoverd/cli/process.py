"""Reads the command line of this process, and ends the process if it is wrong or asks only for information."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from hanoverd.cli.line import InfoRequested, read_line
from hanoverd.cli.parse import ServiceSpec, mistyped, specification
from hanoverd.cli.secrets import environment_for, take_arguments
from hanoverd.runtime.errors import HanoverdError, UsageError
from hanoverd.runtime.search_path import limit_search_path
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.escapes import escaped

#: The status of a process whose command line is wrong, as in Docker.
USAGE_FAILED = 125

#: The status of a process that SIGINT has ended, as shells report it.
INTERRUPTED = 128 + 2

#: The status of ``hanoverd diff`` where it fails, as that of diff(1): 1 says that something differs.
TROUBLE = 2


def spec_or_exit(arguments: Sequence[str]) -> ServiceSpec:
    """Return the specification of the service that a command line asks for.

    Exits if the command line is wrong, if it asks for help, and after a command for a running daemon.

    If the command line has secrets, this process first executes its program again, with masked arguments; see ``secrets``.
    """
    limit_search_path(os.environ)
    given = take_arguments(arguments, os.environ)
    try:
        line = read_line(given, os.environ, str(Path.cwd()))
        spec = specification(line, _schemes)
    except InfoRequested as info:
        for warning in info.warnings:
            sys.stderr.write(f"hanoverd: warning: {warning}\n")
        sys.stdout.write(f"{info}\n")
        raise SystemExit(0) from None
    except UsageError as error:
        complain(error)
        raise SystemExit(USAGE_FAILED) from None
    if isinstance(spec, RemoteCommand):
        raise SystemExit(_run_remote(spec))
    shown = line.without_secrets()
    if shown is not None and given is arguments:
        _execute_again(arguments, shown)
    if command := mistyped(spec):
        sys.stderr.write(f"hanoverd: this is read as the name of an image; the command is `hanoverd {command}`\n")
    return spec


def complain(error: HanoverdError) -> None:
    """Report an error on standard error."""
    sys.stderr.write(f"hanoverd: {escaped(str(error))}\n")


def _run_remote(command: RemoteCommand) -> int:
    """Run a command for a running daemon; return the exit status."""
    # Late: the daemon itself does not need it.
    from hanoverd.cli.client.commands import FAILED, run_remote  # noqa: PLC0415

    try:
        return run_remote(command, os.environ, os.geteuid())
    except HanoverdError as error:
        complain(error)
        return TROUBLE if command.verb == "diff" else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader, such as `head`, has ended; Python must not fail to flush standard output when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _execute_again(arguments: Sequence[str], shown: Sequence[str]) -> None:
    """Execute the same program with the arguments ``shown``; return only if that is not possible."""
    count = len(arguments)
    if list(sys.orig_argv[-count:]) != list(arguments):
        return
    command = [*sys.orig_argv[:-count], *shown]
    # As a script if it was one, so that the name of the process stays: `pgrep -x hanoverd` finds it.
    if len(sys.orig_argv) > count + 1 and command[1].startswith("/") and os.access(command[1], os.X_OK):
        command = command[1:]
        program = command[0]
    else:
        program = sys.executable
    sys.stdout.flush()
    try:
        os.execve(program, command, {**os.environ, **environment_for(arguments, shown)})  # noqa: S606  # no shell, on purpose
    except OSError as error:
        # The variable is longer than the system allows, for example.
        sys.stderr.write(f"hanoverd: cannot hide the secrets of the command line: {error.strerror}: use --env NAME\n")


def _schemes() -> Collection[str]:
    """Return the schemes of the sources that are installed."""
    # Late: help, and most wrong command lines, work without loading Twisted.
    from hanoverd.images.kinds import source_kinds  # noqa: PLC0415

    return source_kinds()
