"""The installed completions and the manual page, in the real shells and in man."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.asking import WITHIN
from tests.lab.daemon import PROJECT

SHARE = PROJECT / "share"


def test_fish_offers_commands_options_and_values() -> None:
    file = SHARE / "fish" / "vendor_completions.d" / "hanoverd.fish"
    lines = {"hanoverd dep": "deploy", "hanoverd deploy --wa": "--wait", "hanoverd --restart on": "on-failure"}
    for line, offered in lines.items():
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source {file}; complete -C '{line}'"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert offered in done.stdout.split(), (line, done.stderr)


@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("hanoverd dep", "hanoverd deploy "),
        ("hanoverd --memory-swa", "--memory-swappiness"),
        ("hanoverd deploy --wa", "hanoverd deploy --wait "),
        ("hanoverd --restart unl", "hanoverd --restart unless-stopped "),
        ("hanoverd hookbot se", "hanoverd hookbot serve "),
    ],
)
def test_zsh_completes(line: str, completed: str, tmp_path: Path) -> None:
    _complete_in_zsh(
        tmp_path,
        f"fpath=({SHARE}/zsh/site-functions $fpath); autoload -U compinit; compinit -u -D; echo READY",
        line,
        completed,
    )


def test_bash_loads_the_completion_when_the_command_is_completed() -> None:
    file = SHARE / "bash-completion" / "completions" / "hanoverd"
    done = subprocess.run(
        ["bash", "--norc", "-c", f"source {file}; complete -p hanoverd"], capture_output=True, text=True, check=True
    )
    assert "-F _hanoverd hanoverd" in done.stdout


def test_the_manual_page_is_shown_without_a_warning() -> None:
    page = SHARE / "man" / "man1" / "hanoverd.1"
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(page)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert "--status-timeout" in done.stdout
    assert "125" in done.stdout


def _complete_in_zsh(home: Path, setup: str, line: str, completed: str) -> None:
    """Wait until an interactive zsh shows ``completed`` after ``line`` and two tabs."""
    child, terminal = pty.fork()
    if child == 0:
        environ = {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "dumb", "PS1": "> "}
        os.execvpe("zsh", ["zsh", "-f", "-i"], environ)
    try:
        os.write(terminal, f"{setup}\n".encode())
        _read_until(terminal, "\nREADY")
        os.write(terminal, f"{line}\t\t".encode())
        _read_until(terminal, completed)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def _read_until(terminal: int, end: str) -> None:
    """Read until ``end`` was shown."""
    shown = ""
    deadline = time.monotonic() + WITHIN
    while end not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no {end!r} within {WITHIN} s: {shown!r}"
        shown += os.read(terminal, 65536).decode(errors="replace").replace("\r", "")
