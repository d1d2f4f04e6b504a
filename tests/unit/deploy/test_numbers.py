"""The number of the next version is remembered, as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.logger import capturedLogs

from hanoverd.deploy.numbers import VersionNumbers
from hanoverd.runtime.state_folder import number_file_of, state_folder
from tests.fakes.containers import FakeContainer
from tests.fakes.world import until
from tests.unit.deploy.dummies import ids
from tests.unit.deploy.scenario import ScenarioCase


def test_a_new_app_begins_with_0(tmp_path: Path) -> None:
    with capturedLogs() as logged:
        assert VersionNumbers(tmp_path / "web.next-version").next == 0
    assert ids(logged) == []


def test_a_number_that_is_used_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "made when it is needed" / "web.next-version"
    VersionNumbers(path).use(4)
    assert VersionNumbers(path).next == 5
    assert [one.name for one in path.parent.iterdir()] == ["web.next-version"]


def test_numbers_never_go_back(tmp_path: Path) -> None:
    numbers = VersionNumbers(tmp_path / "next")
    numbers.use(4)
    numbers.use(2)
    numbers.follow(3)
    assert VersionNumbers(tmp_path / "next").next == 5


def test_containers_that_are_newer_than_the_file_say_which_number_is_next(tmp_path: Path) -> None:
    path = tmp_path / "next"
    path.write_text("2\n")
    numbers = VersionNumbers(path)
    with capturedLogs() as logged:
        numbers.follow(7)
    assert numbers.next == 7
    [event] = logged
    assert (event["event"], event["path"], event["number"]) == ("numbers_behind", str(path), 7)


@pytest.mark.parametrize("text", ["", "seven", "-1", "1" * 19, "\N{SUPERSCRIPT TWO}"])
def test_a_file_without_a_number_is_logged_and_stops_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "next"
    path.write_text(text)
    with capturedLogs() as logged:
        numbers = VersionNumbers(path)
    assert numbers.next == 0
    assert ids(logged) == ["numbers_unreadable"]
    numbers.use(0)
    assert VersionNumbers(path).next == 1


def test_a_file_that_cannot_be_read_is_logged(tmp_path: Path) -> None:
    with capturedLogs() as logged:
        assert VersionNumbers(tmp_path).next == 0
    assert ids(logged) == ["numbers_unreadable"]


def test_a_file_that_cannot_be_written_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "web.next-version"
    with capturedLogs() as logged:
        numbers = VersionNumbers(path)
        numbers.use(0)
        numbers.use(1)
    assert numbers.next == 2
    assert ids(logged) == ["numbers_unreadable", "numbers_not_saved"]


def test_where_the_file_is() -> None:
    assert str(state_folder({}, 0)) == "/var/lib/hanoverd"
    assert str(state_folder({"HOME": "/home/me"}, 7)) == "/home/me/.local/state/hanoverd"
    assert str(state_folder({"HOME": "/home/me", "XDG_STATE_HOME": "/s"}, 7)) == "/s/hanoverd"
    assert str(state_folder({"HANOVERD_STATE_DIR": "/x", "XDG_STATE_HOME": "/s"}, 7)) == "/x"
    assert str(number_file_of(Path("/x"), "web")) == "/x/web.next-version"


class NumberTests(ScenarioCase):
    """No number is used twice."""

    async def test_over_a_stop(self) -> None:
        daemon = await self.started()
        await self.replace(daemon, "app-1")
        await daemon.stop()
        self.assert_nothing_left()
        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-2")

    async def test_a_failed_and_a_cancelled_handover_use_theirs(self) -> None:
        daemon = await self.started()
        self.world.break_app()
        daemon.trigger("broken")
        await daemon.at_rest()
        self.build_without_end()
        daemon.trigger("slow")
        await until(lambda: self.world.has_logged("obtaining", version="app-2"))
        await self.replace(daemon, "app-3")
        self.assertEqual(
            [(one.version, one.outcome) for one in daemon.app.history],
            [("app-0", "live"), ("app-1", "failed"), ("app-2", "cancelled"), ("app-3", "live")],
        )

    async def test_without_the_file_numbers_follow_those_of_the_containers(self) -> None:
        daemon = await self.started(keep=True)
        await self.replace(daemon, "app-1")
        await daemon.stop()
        self.world.forget_numbers()
        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-2")
        self.assertTrue(self.world.has_logged("numbers_behind", number=2))

    async def test_a_name_that_another_container_has_is_skipped(self) -> None:
        daemon = await self.started()
        others = ("app-1", "app-2", "app-4")
        for name in others:
            self.world.engine.containers[name] = FakeContainer(name, {"Image": "", "Labels": {}}, {}, ())
        await self.replace(daemon, "app-3")
        self.assertTrue(self.world.has_logged("name_taken", version="app-1", successor="app-3"))
        await self.replace(daemon, "app-5")
        self.assertEqual([one.version for one in daemon.app.history], ["app-0", "app-3", "app-5"])
        await until(lambda: sorted(self.world.engine.containers) == ["app-1", "app-2", "app-4", "app-5"])
        # They are not hanoverd's to remove.
        for name in others:
            del self.world.engine.containers[name]
