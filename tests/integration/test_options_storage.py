"""Mounts and volumes, judged by the files of one version and the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import Process
from tests.lab.host import Lab
from tests.lab.images import BASE


@pytest.fixture
def volumes(lab: Lab) -> Iterator[None]:
    """A container with a volume, and the end of all named volumes of these tests."""
    body = {"Image": BASE, "Cmd": ["true"], "Volumes": {"/from": {}}}
    assert lab.docker("POST", "/containers/create?name=other", body)[0] == 201
    try:
        yield
    finally:
        lab.docker("DELETE", "/containers/other?v=1")
        for name in ("shared", "mounted"):
            assert lab.docker("DELETE", f"/volumes/{name}")[0] == 204


@pytest.mark.usefixtures("volumes")
def test_mounts_are_where_and_as_they_are_asked_for(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "colour").write_text("red")
    (tmp_path / "data").mkdir()
    line = (
        *("-p", "8080:80", "--name", "web"),
        *("--volume", f"{tmp_path}/settings:/settings:ro", "--volume", "shared:/shared", "--volume", "/own"),
        *("--mount", f"type=bind,source={tmp_path}/data,target=/data"),
        *("--mount", "type=volume,source=mounted,target=/mounted,readonly"),
        *("--mount", "type=tmpfs,target=/fast,tmpfs-size=2m,tmpfs-mode=1770"),
        *("--tmpfs", "/scratch:size=1m,mode=700,uid=7", "--volumes-from", "other:ro", "--volume-driver", "local"),
    )
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        first = Process(lab, "web-0")
        assert first.file("/settings/colour") == "red"
        writable = {path: " rw," in first.mount(path) for path in ("/settings", "/shared", "/own", "/data", "/mounted")}
        assert writable == {"/settings": False, "/shared": True, "/own": True, "/data": True, "/mounted": False}
        assert " ro," in first.mount("/from")
        root = first.folder / "root"
        assert first.mount("/fast").split()[2] == "tmpfs"
        assert "size=2048k" in first.mount("/fast")
        assert (root / "fast").stat().st_mode & 0o7777 == 0o1770
        assert "size=1024k" in first.mount("/scratch")
        assert ((root / "scratch").stat().st_mode & 0o7777, (root / "scratch").stat().st_uid) == (0o700, 7)
        for folder in ("shared", "own", "data", "scratch", "fast"):
            (root / folder / "mark").write_text("of web-0")
        assert (tmp_path / "data" / "mark").read_text() == "of web-0"

        # The next version shares what has a name, and has the rest for itself.
        hanoverd.hup()
        hanoverd.wait_live("web-1")
        root = Process(lab, "web-1").folder / "root"
        has_mark = {
            folder: (root / folder / "mark").exists() for folder in ("shared", "data", "own", "scratch", "fast")
        }
        assert has_mark == {"shared": True, "data": True, "own": False, "scratch": False, "fast": False}
        assert hanoverd.terminate() == 0
