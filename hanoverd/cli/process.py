"""Reads the command line of this process; one that is wrong, or asks for help, ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

from hanoverd.cli.parse import InfoRequested, parse
from hanoverd.cli.secrets import SECRETS, with_secrets, without_secrets
from hanoverd.runtime.errors import HanoverdError, UsageError
from hanoverd.spec.settings import AnySettings, RemoteSettings

USAGE_FAILED = 2

#: What a shell makes of SIGINT.
INTERRUPTED = 128 + 2


def settings_or_exit(arguments: Sequence[str]) -> AnySettings:
    """The settings that a command line asks for; does and exits where it asks for help, or something of a running daemon,
    or is wrong.

    A command line that holds tokens, or values of variables, is replaced first, by running this process's program anew
    with them in its environment: all users can list the command lines of a machine.
    """
    try:
        settings = parse(with_secrets(arguments, os.environ), os.environ, str(Path.cwd()), _schemes)
    except InfoRequested as info:
        sys.stdout.write(f"{info}\n")
        raise SystemExit(0) from None
    except UsageError as error:
        complain(error)
        raise SystemExit(USAGE_FAILED) from None
    hidden, secrets = ([], {}) if SECRETS in os.environ else without_secrets(arguments)
    if secrets:
        _run_anew(arguments, hidden, secrets)
    if isinstance(settings, RemoteSettings):
        raise SystemExit(_remote_status(settings))
    return settings


def complain(error: HanoverdError) -> None:
    """Tell the user on standard error."""
    sys.stderr.write(f"hanoverd: {error}\n")


def _remote_status(settings: RemoteSettings) -> int:
    """Speak with a running daemon; gives the exit status."""
    # Late: the daemon itself has no use for it.
    from hanoverd.cli.client.commands import FAILED, run_remote  # noqa: PLC0415

    try:
        return run_remote(settings, os.environ, os.geteuid())
    except HanoverdError as error:
        complain(error)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read it, as `head`, has read enough; Python must not complain again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run_anew(arguments: Sequence[str], hidden: Sequence[str], secrets: dict[str, str]) -> None:
    """Be the same program with other arguments; returns only where it cannot be told how this one was run."""
    count = len(arguments)
    if list(sys.orig_argv[-count:]) != list(arguments):
        return
    command = [*sys.orig_argv[:-count], *hidden]
    # As a script, if it was one: it is found by its name, as by `pgrep -x hanoverd`.
    if len(sys.orig_argv) > count + 1 and command[1].startswith("/") and os.access(command[1], os.X_OK):
        command = command[1:]
        program = command[0]
    else:
        program = sys.executable
    sys.stdout.flush()
    os.execve(program, command, {**os.environ, **secrets})  # noqa: S606  # no shell: that is the point


def _schemes() -> Collection[str]:
    """The kinds of sources that are installed."""
    # Late: help, and most command lines that are wrong, are answered without loading Twisted.
    from hanoverd.images.kinds import source_kinds  # noqa: PLC0415

    return source_kinds()
