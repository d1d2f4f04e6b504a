"""Words that people type as commands, help and the version."""

from __future__ import annotations

import re

import pytest

from hanoverd import __version__
from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.help import usage_text
from hanoverd.cli.line import InfoRequested
from hanoverd.cli.parse import parse
from hanoverd.cli.verbs import VERBS
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("rest", [[], ["web"], ["-d", "-p", "80:80", "nginx"]], ids=str)
def test_a_verb_of_another_program_is_refused_with_the_command_and_the_way_to_name_an_image(
    verb: str, rest: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        parse([verb, *rest], {}, "/srv/web")
    assert f'there is no command "{verb}": ' in str(caught.value)
    assert f"write {verb}:latest" in str(caught.value)


@pytest.mark.parametrize("verb", VERBS)
def test_the_command_to_use_instead_exists(verb: str) -> None:
    names = {command.name for command in COMMANDS}
    for command in re.findall(r"`hanoverd ([a-z]+)", VERBS[verb]):
        assert command in names
    assert verb not in names


@pytest.mark.parametrize("arguments", [["ps:latest"], ["--", "ps"], ["--name=x", "ps"], ["library/ps"]], ids=str)
def test_an_image_of_that_name_can_be_served(arguments: list[str]) -> None:
    spec = parse(arguments, {}, "/srv/web")
    assert isinstance(spec, AppSpec)
    assert spec.source.name.scheme == "image"


def answer(*arguments: str) -> str:
    """The text that a command line asks for."""
    with pytest.raises(InfoRequested) as caught:
        parse(arguments, {}, "/srv/web")
    return str(caught.value)


@pytest.mark.parametrize("command", [DAEMON, *COMMANDS], ids=lambda command: command.name or "hanoverd")
def test_help_of_each_command_can_be_asked_in_three_ways(command: Command) -> None:
    words = command.name.split()
    assert answer("help", *words) == usage_text(command)
    assert answer(*words, "-h") == usage_text(command)
    assert answer(*words, "--help") == usage_text(command)


def test_the_version_can_be_asked_in_two_ways() -> None:
    assert answer("version") == answer("--version") == f"hanoverd {__version__}"


def test_help_of_no_command_is_refused() -> None:
    with pytest.raises(UsageError, match='there is no command "nothing": `hanoverd help` shows all commands'):
        parse(["help", "nothing"], {}, "/srv/web")
