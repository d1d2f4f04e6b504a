"""The README says what is so: its options are those of the table, its commands are there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import docutils.core
import pytest

from hanoverd.cli.commands import COMMANDS, DAEMON, Command
from hanoverd.cli.help import rst

PROJECT = Path(__file__).parents[3]
README = (PROJECT / "README.rst").read_text()


@pytest.mark.parametrize("name", ["README.rst", "CONTRIBUTING.rst", "CHANGELOG.rst"])
def test_it_is_well_formed(name: str) -> None:
    settings = {"halt_level": 2, "report_level": 2}
    html = docutils.core.publish_string((PROJECT / name).read_text(), writer="html5", settings_overrides=settings)
    assert b"<h1" in html


@pytest.mark.parametrize("command", [DAEMON, *COMMANDS], ids=lambda command: command.name or "hanoverd")
def test_the_options_are_those_of_the_table(command: Command) -> None:
    assert rst(command) in README, "put into README.rst what `.venv-tests/bin/python -m hanoverd.cli.help` prints"


def test_the_environment_is_told() -> None:
    for command in (DAEMON, *COMMANDS):
        for name, _ in command.environment:
            assert f"``{name}``" in README


def test_its_commands_are_there() -> None:
    commands = re.findall(r"^    (\./\S+)", README, re.MULTILINE)
    assert {"./example/run", "./tests/run"} <= set(commands)
    for command in commands:
        assert os.access(PROJECT / command, os.X_OK), command
