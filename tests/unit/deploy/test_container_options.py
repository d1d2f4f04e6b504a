"""Files of variables and labels are read again for each version."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanoverd.deploy.container_options import current_options
from hanoverd.runtime.errors import InputFileFailed
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.run.inputs import Inputs

ENVIRON = {"REGION": "north"}


def options(folder: Path) -> ContainerSpec:
    inputs = Inputs((str(folder / "env"),), ("B=line",), (str(folder / "labels"),), {"b": "line"})
    return ContainerSpec(env=("A=old",), settings={"Labels": {"a": "old"}, "User": "app"}, inputs=inputs)


def test_each_version_has_what_the_files_have_now(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\nB=1\nREGION\n")
    (tmp_path / "labels").write_text("a=1\nb=1\n")
    found = current_options(options(tmp_path), ENVIRON)
    assert found.env == ("A=1", "B=1", "REGION=north", "B=line")
    assert found.settings == {"User": "app", "Labels": {"a": "1", "b": "line"}}
    (tmp_path / "env").write_text("A=2\n")
    assert current_options(options(tmp_path), ENVIRON).env == ("A=2", "B=line")


@pytest.mark.parametrize("content", [None, b"A B=1\n", b"\xff"])
def test_a_file_that_cannot_be_read_fails_the_handover(content: bytes | None, tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("")
    if content is not None:
        (tmp_path / "env").write_bytes(content)
    with pytest.raises(InputFileFailed, match="cannot read the variables and labels of the next version"):
        current_options(options(tmp_path), ENVIRON)


def test_without_files_nothing_is_read() -> None:
    spec = ContainerSpec(env=("A=1",))
    assert current_options(spec, {}) is spec
