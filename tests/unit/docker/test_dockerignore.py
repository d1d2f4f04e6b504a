"""What ``.dockerignore`` leaves out, beside what Docker's client 28 does (recorded by tests/lab/contexts.py)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanoverd.docker.build_context import BuildContext
from hanoverd.docker.dockerignore import Ignored
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
        ("a\n!\n", 'line 2: "!" needs a pattern'),
        ("[a\n", "line 1: .* the \\[ has no \\]"),
        ("[]\n", "is not a valid pattern"),
    ],
)
def test_what_is_no_pattern_is_told_with_its_line(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Ignored.read(text)
