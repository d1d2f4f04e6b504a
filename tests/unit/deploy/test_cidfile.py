"""The file with the ID of the live container."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.logger import capturedLogs

from hanoverd.deploy.cidfile import CidFile
from hanoverd.network.routes import Live
from hanoverd.runtime.errors import CidFileInUse
from tests.fakes.world import Daemon, until
from tests.unit.deploy.dummies import ids
from tests.unit.deploy.scenario import ScenarioCase

ID, OTHER_ID = "0123456789abcdef" * 4, "f" * 64


def live(container_id: str) -> list[Live]:
    """A live version, as far as the file needs it."""
    running: Any = SimpleNamespace(container=SimpleNamespace(id=container_id))
    return [Live(running)]


def container(app: str, *, is_running: bool = True) -> Mapping[str, Any]:
    """A container, as the engine describes it."""
    return {"Name": "/web-0", "Config": {"Labels": {"hanoverd.app": app}}, "State": {"Running": is_running}}


def test_the_file_has_the_id_alone_as_docker_writes_it_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "cid"
    file = CidFile(path, "web")
    file.follow(live(ID))
    assert path.read_text() == ID
    assert path.stat().st_mode & 0o777 == 0o644
    file.follow(live(OTHER_ID))
    assert path.read_text() == OTHER_ID
    file.follow([])
    file.follow([])
    assert [*tmp_path.iterdir()] == []


def test_another_version_gets_a_new_file_so_that_no_reader_sees_a_part_of_one(tmp_path: Path) -> None:
    path = tmp_path / "cid"
    file = CidFile(path, "web")
    file.follow(live(ID))
    with path.open() as reader:
        file.follow(live(OTHER_ID))
        assert reader.read() == ID


def test_a_file_that_cannot_be_written_or_removed_is_logged_once_and_stops_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    file = CidFile(folder / "cid", "web")
    with capturedLogs() as logged:
        file.follow(live(ID))
        file.follow(live(OTHER_ID))
        folder.mkdir()
        file.follow(live(ID))
        (folder / "cid").unlink()
        (folder / "cid").mkdir()
        file.follow([])
    assert ids(logged) == ["cidfile_not_written"] * 2
    assert logged[0]["path"] == str(folder / "cid")
    assert "No such file" in logged[0]["error"]


@pytest.mark.parametrize(
    ("found", "stays"),
    [(container("web"), True), (container("web", is_running=False), False), (None, False)],
)
def test_a_file_of_an_earlier_run_stays_while_its_container_runs(
    tmp_path: Path, found: Mapping[str, Any] | None, stays: bool
) -> None:
    path = tmp_path / "cid"
    path.write_text(ID)
    asked: list[str] = []

    def find(container_id: str) -> Mapping[str, Any] | None:
        asked.append(container_id)
        return found

    CidFile(path, "web").check(find)
    assert (asked, path.exists()) == ([ID], stays)


@pytest.mark.parametrize("found", [container("shop"), {**container("web"), "Config": {"Labels": None}}])
def test_a_file_that_names_a_container_of_somebody_else_is_refused(tmp_path: Path, found: Mapping[str, Any]) -> None:
    path = tmp_path / "cid"
    path.write_text(ID)
    with pytest.raises(CidFileInUse) as caught:
        CidFile(path, "web").check(lambda _: found)
    assert "container ID file found, make sure the other container isn't running or delete" in str(caught.value)
    assert "web-0, which is no version of web" in str(caught.value)
    assert path.read_text() == ID


def test_without_a_file_the_engine_is_not_asked(tmp_path: Path) -> None:
    def find(_: str) -> None:
        raise AssertionError("asked")

    CidFile(tmp_path / "cid", "web").check(find)


class CidFileTests(ScenarioCase):
    """The file follows the routes."""

    @property
    def path(self) -> Path:
        return self.world.folder / "cid"

    def assert_names(self, name: str) -> None:
        self.assertEqual(self.path.read_text(), self.world.engine.containers[name].id)

    async def started_with_file(self, **options: Any) -> Daemon:
        return await self.started(cidfile=str(self.path), **options)

    async def test_it_changes_at_the_flip_and_goes_with_the_app(self) -> None:
        daemon = await self.started_with_file()
        self.assert_names("app-0")
        await self.replace(daemon, "app-1")
        self.assert_names("app-1")
        self.world.break_app()
        daemon.trigger("broken")
        await daemon.at_rest()
        self.assert_names("app-1")
        await daemon.stop()
        self.assertFalse(self.path.exists())

    async def test_it_does_not_exist_while_no_version_is_live(self) -> None:
        await self.started_with_file()
        self.world.kill("app-0")
        await until(lambda: not self.path.exists())

    async def test_a_version_that_is_live_again_is_named_again(self) -> None:
        daemon = await self.started_with_file(drain=60.0, grace=60.0)
        await self.replace(daemon, "app-1")
        self.world.kill("app-1")
        await daemon.live("app-0")
        self.assert_names("app-0")

    async def test_it_stays_with_the_version_that_is_kept_and_adopted(self) -> None:
        await self.left_running(cidfile=str(self.path))
        self.assert_names("app-0")
        self.path.unlink()
        daemon = self.world.daemon(cidfile=str(self.path))
        daemon.app.start()
        await daemon.live("app-0")
        self.assert_names("app-0")

    async def test_an_unwritable_file_does_not_keep_the_app_from_serving(self) -> None:
        daemon = await self.started(cidfile=str(self.world.folder / "missing" / "cid"))
        await self.replace(daemon, "app-1")
        self.assertTrue(self.world.has_logged("cidfile_not_written", app="app"))
