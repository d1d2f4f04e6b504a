"""The command line explained."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.help import rst, usage_text
from hanoverd.cli.options.option import Kind, Option

ALL = (DAEMON, *COMMANDS)


def test_help_begins_with_the_usage() -> None:
    assert usage_text().startswith("Usage:  hanoverd [OPTIONS] [IMAGE")


@pytest.mark.parametrize("command", ALL, ids=lambda command: command.name or "hanoverd")
def test_help_fits_on_a_terminal(command: Command) -> None:
    assert max(len(line) for line in usage_text(command).splitlines()) <= 80
    assert not any(line != line.rstrip() for line in usage_text(command).splitlines())


@pytest.mark.parametrize(
    ("command", "option"),
    [(command, option) for command in ALL for option in command.options if option.name != "help"],
    ids=lambda value: value.name,
)
def test_help_and_documentation_tell_every_option_with_its_default(command: Command, option: Option) -> None:
    words = " ".join(usage_text(command).split())
    assert f"--{option.name} {option.metavar}".strip() in words
    assert option.help in words
    assert f"--{option.name}" in rst(command)
    if option.default:
        assert f"(default: {option.default})" in words
        assert f"(default: ``{option.default}``)" in rst(command)


@pytest.mark.parametrize(
    "word",
    [
        *("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_CONFIG", "DOCKER_CONTEXT"),
        *("SIGHUP", "SIGTERM", "SIGINT", "Example:"),
    ],
)
def test_help_tells_the_environment_the_signals_and_an_example(word: str) -> None:
    assert word in usage_text()


def test_the_options_are_aligned() -> None:
    options = usage_text().partition("Process options:\n")[2].partition("\n\nDurations")[0].splitlines()
    texts = [line for line in options if line.startswith("   ") and not line.lstrip().startswith("-")]
    assert {len(line) - len(line.lstrip()) for line in texts} == {32}


def test_every_option_is_named_once_and_says_what_it_takes() -> None:
    for command in ALL:
        names = [option.name for option in command.options]
        names += [option.letter for option in command.options if option.letter]
        assert len(set(names)) == len(names)
        for option in command.options:
            assert bool(option.metavar) == (option.kind is not Kind.BOOLEAN)


def test_help_is_given_without_loading_twisted_or_docker() -> None:
    script = (
        "import sys\n"
        "from hanoverd.cli.line import InfoRequested\n"
        "from hanoverd.cli.parse import parse\n"
        "try:\n    parse(['--help'], {}, '/')\n"
        "except InfoRequested:\n    pass\n"
        "print([name for name in ('twisted', 'docker', 'treq') if name in sys.modules])\n"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
