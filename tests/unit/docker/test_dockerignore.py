"""What ``.dockerignore`` leaves out, beside what Docker's client 28 does (recorded by tests/lab/contexts.py)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hanoverd.docker.build_context import BuildContext
from hanoverd.docker.dockerignore import LONGEST_PATTERN, MOST_PATTERNS, Ignored
from tests.lab.contexts import write_files

RECORDED: dict[str, list[str]] = json.loads(Path(__file__).with_name("contexts.json").read_text())


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with names of all sorts."""
    folder = tmp_path_factory.mktemp("app")
    write_files(folder)
    return folder


@pytest.mark.parametrize("ignore", RECORDED)
def test_the_same_files_are_sent_as_by_docker(app: Path, ignore: str) -> None:
    (app / ".dockerignore").write_text(ignore)
    assert sorted(BuildContext(app, "Dockerfile").names()) == RECORDED[ignore]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a\n!\n", 'line 2: "!" needs a pattern after it'),
        ("[secret\n", "line 1: the pattern is not valid: the [ has no ]"),
        ("\n[]\n", "line 2: the pattern is not valid: the [] is empty"),
        ("[z-a]secret\n", "line 1: the pattern is not valid: the range of a [] ends before it starts"),
        ("secret" * 1000, "line 1: the pattern is longer than 4096 characters"),
        ("a\n" * (MOST_PATTERNS + 1), "line 10001: there are more than 10000 patterns"),
    ],
)
def test_an_invalid_pattern_is_reported_by_its_line_without_its_text(text: str, reason: str) -> None:
    with pytest.raises(ValueError) as caught:
        Ignored.read(text)
    assert str(caught.value) == reason


def test_as_many_patterns_of_such_a_length_are_allowed() -> None:
    ignored = Ignored.read("a\n#\n\n" * (MOST_PATTERNS - 1) + "b" * LONGEST_PATTERN)
    assert ignored.verdict("a").is_ignored
    assert ignored.verdict("b" * LONGEST_PATTERN).is_ignored
    assert not ignored.verdict("b" * (LONGEST_PATTERN - 1)).is_ignored


def test_a_line_ends_at_a_newline_only() -> None:
    ignored = Ignored.read("a\vb\r\nc\u2028!c\r\nd")
    assert not ignored.verdict("a").is_ignored
    assert ignored.verdict("a\vb").is_ignored
    assert ignored.verdict("c\u2028!c").is_ignored
    assert ignored.verdict("d").is_ignored


def test_a_pattern_with_a_nul_matches_nothing() -> None:
    assert not Ignored.read("a\0b\n/x/../a\0\n").verdict("a").is_ignored


def test_names_that_are_not_utf8_are_matched() -> None:
    name = os.fsdecode(b"caf\xe9")
    ignored = Ignored.read(f"{name}\n\u2603?\n")
    assert ignored.verdict(name).is_ignored
    assert ignored.verdict(f"\u2603{name[-1]}").is_ignored
    assert not ignored.verdict("caf\u00e9").is_ignored
