"""Completions of shells: what each option and command offers."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.completion import bash, choices, fish, takes_path, zsh
from hanoverd.cli.options.option import Option


def in_bash(*words: str) -> list[str]:
    """What bash offers for the last of the words after ``hanoverd``."""
    script = f'{bash()}\nCOMP_WORDS=(hanoverd "$@")\nCOMP_CWORD=$#\n_hanoverd\nprintf \'%s\\n\' "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        [str(shutil.which("bash")), "-c", script, "bash", *words], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["dep"], ["deploy"]),
        (["hookbot", ""], ["serve", "make-tokens"]),
        (["deploy", "--w"], ["--wait"]),
        (["hookbot", "serve", "--tls"], ["--tls-cert", "--tls-key"]),
        (["--memory-s"], ["--memory-swap", "--memory-swappiness"]),
        (["--restart", ""], ["no", "always", "unless-stopped", "on-failure"]),
        (["--pull", "m"], ["missing"]),
        (["--name", ""], []),
    ],
)
def test_bash_offers(words: list[str], offered: list[str]) -> None:
    assert in_bash(*words) == offered


def test_each_option_and_command_is_in_each_script() -> None:
    for script in (bash(), zsh(), fish()):
        for command in (DAEMON, *COMMANDS):
            assert all(word in script for word in command.name.split())
            for option in command.options:
                assert option.name in script


def test_choices_are_the_words_of_the_metavar() -> None:
    def option(metavar: str) -> Option:
        return Option(name="x", help="", metavar=metavar)

    assert choices(option("no|always|on-failure[:N]")) == ("no", "always", "on-failure")
    assert choices(option("NAME|UID[:GROUP|GID]")) == ()
    assert choices(option("FILE")) == ()
    assert takes_path(option("FILE"))
    assert not takes_path(option("NAME"))
