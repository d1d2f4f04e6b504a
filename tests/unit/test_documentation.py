"""The documentation is well formed, its links have targets, and its options are those of the program."""

from __future__ import annotations

import os
import re
from pathlib import Path

import docutils.core
import pytest

from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.completion import bash, fish, zsh
from hanoverd.cli.help import reference
from hanoverd.cli.manual import manual
from hanoverd.logs.reference import reference as log_reference

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.rst").read_text()
PAGES = sorted(path.relative_to(PROJECT) for path in [*PROJECT.glob("*.rst"), *PROJECT.glob("docs/*.rst")])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_is_well_formed(page: Path) -> None:
    assert b"<h1" in _html(page)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_within_the_project_lead_to_something(page: Path) -> None:
    html = _html(page).decode()
    for target, anchor in re.findall(r'href="(?!https?:|mailto:)([^"#]*)(#[^"]*)?"', html):
        linked = PROJECT / page.parent / target if target else PROJECT / page
        assert linked.exists(), f"{page} links to {target}"
        if anchor and linked.suffix == ".rst":
            assert f'id="{anchor[1:]}"'.encode() in _html(linked), f"{page} links to {target}{anchor}"


def test_the_option_reference_is_generated_from_the_options() -> None:
    page = (PROJECT / "docs" / "options.rst").read_text()
    assert page == reference(), "run: scripts/generate"


def test_the_reference_of_log_events_is_generated_from_their_table() -> None:
    page = (PROJECT / "docs" / "log-events.rst").read_text()
    assert page == log_reference(), "run: scripts/generate"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("share/man/man1/hanoverd.1", manual()),
        ("share/bash-completion/completions/hanoverd", bash()),
        ("share/zsh/site-functions/_hanoverd", zsh()),
        ("share/fish/vendor_completions.d/hanoverd.fish", fish()),
    ],
)
def test_what_is_installed_beside_the_program_is_generated_from_the_options(path: str, text: str) -> None:
    assert (PROJECT / path).read_text() == text, "run: scripts/generate"


def test_every_page_of_the_documentation_is_linked_from_the_readme() -> None:
    for page in PAGES:
        if page.name != "README.rst":
            assert f"<{page}>`_" in README, page


def test_every_command_stands_in_the_documentation_of_control() -> None:
    pages = "".join((PROJECT / page).read_text() for page in PAGES if page.name != "options.rst")
    for command in COMMANDS:
        assert f"hanoverd {command.name}" in pages, command.name


def test_every_environment_variable_stands_in_the_option_reference() -> None:
    page = (PROJECT / "docs" / "options.rst").read_text()
    for command in (DAEMON, *COMMANDS):
        for name, _ in command.environment:
            assert f"``{name}``" in page


def test_the_commands_of_the_readme_can_be_run() -> None:
    commands = re.findall(r"^    (\./\S+)", README, re.MULTILINE)
    assert {"./example/run", "./tests/run"} <= set(commands)
    for command in commands:
        assert os.access(PROJECT / command, os.X_OK), command


def _html(page: Path) -> bytes:
    settings = {"halt_level": 2, "report_level": 2}
    html: bytes = docutils.core.publish_string(
        (PROJECT / page).read_text(), writer="html5", settings_overrides=settings
    )
    return html
