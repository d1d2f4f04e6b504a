"""``hanoverd stop``, and apps that serve without a daemon: after ``--on-exit keep``, or a kill."""

from __future__ import annotations

import json
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.integration.asking import eventually, names
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import ARGUMENTS, OTHER_USER, Commands, alive
from tests.lab.host import Lab
from tests.lab.images import write_app


@pytest.fixture
def commands(lab: Lab) -> Commands:
    """Those of the lab."""
    return Commands(lab)


def assert_ended(lab: Lab) -> None:
    """Nothing of an app is left."""
    assert lab.containers() == []
    assert "HANOVERD" not in lab.iptables_save()
    assert list(lab.runtime.iterdir()) == []


class TestWithDaemon:
    """A running daemon stops itself."""

    @pytest.mark.parametrize("on_exit", ["stop", "keep"])
    def test_the_app_and_its_daemon_have_ended_when_the_command_ends(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, on_exit: str
    ) -> None:
        with daemon(*ARGUMENTS, "--on-exit", on_exit, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, version="2")
            hanoverd.hup()
            hanoverd.wait_gone("web-0")
            assert commands("stop", "web") == "web: stopped\n"
            assert hanoverd.wait(10) == 0
            assert hanoverd.events("stopping", reason="hanoverd stop")
            assert_ended(lab)
        assert commands("list", "-q") == ""
        code, _, err = commands.end("stop", "web")
        assert code == 1
        assert "there is no app web" in err

    def test_a_second_daemon_can_start_at_once(self, app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as first:
            first.wait_live("web-0")
            commands("stop", "web")
            with daemon(*ARGUMENTS, cwd=app_folder) as second:
                second.wait_live("web-1")

    def test_an_interrupt_ends_the_wait_and_not_the_stop(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        write_app(app_folder, env={"NO_TERM": "1"})
        with daemon(*ARGUMENTS, "--stop-timeout", "5", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            stopping = commands.start("stop", "web")
            hanoverd.wait_event("stopping")
            time.sleep(0.5)
            stopping.send_signal(signal.SIGINT)
            _, err = stopping.communicate(timeout=60)
            assert stopping.returncode == 130
            assert f"web: still stopping; `kill {hanoverd.pid}` stops it at once" in err
            assert hanoverd.wait() == 0


class TestWithoutDaemon:
    """No daemon runs."""

    @pytest.mark.parametrize("way", ["keep", "kill"])
    def test_the_app_is_listed_shown_and_stopped(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, way: str
    ) -> None:
        with daemon(*ARGUMENTS, "--on-exit", "keep", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, version="2")
            hanoverd.hup()
            hanoverd.wait_gone("web-0")
            if way == "kill":
                hanoverd.kill()
        assert alive(lab) == "web-1"
        [title, row] = commands("list").splitlines()
        assert title.split()[0] == "APP"
        assert row.split()[:3] == ["web", "web-1", "hanoverd/web:latest"]
        assert "No daemon" in row
        assert "0.0.0.0:8080->80/tcp" in row
        status = commands.status()
        assert (status["state"], status["live"]["version"], status["pid"]) == ("no daemon", "web-1", None)
        assert [one["version"] for one in status["kept"]] == ["web-0"]
        assert "  state:     No daemon" in commands("status", "web")
        versions = [json.loads(line) for line in commands("versions", "web", "--format", "json").splitlines()]
        assert [(one["version"], one["state"]) for one in versions] == [("web-1", "live"), ("web-0", "kept")]
        assert versions[0]["source"] == f"build {app_folder}"
        out = commands("stop", "web")
        assert out.startswith("web: stopped, without a hanoverd: removed its routes, ")
        assert "web-1" in out
        assert_ended(lab)
        # Numbers continue.
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-2")

    def test_its_containers_get_their_stop_timeout(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        write_app(app_folder, env={"NO_TERM": "1"})
        with daemon(*ARGUMENTS, "--on-exit", "keep", "--stop-timeout", "2", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
        begun = time.monotonic()
        commands("stop", "web")
        assert 2 <= time.monotonic() - begun < 10
        assert_ended(lab)

    def test_a_user_who_may_not_talk_to_the_engine_hears_why(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            code, out, err = commands.end("list", "-q", as_user=OTHER_USER)
            assert (code, out) == (1, "")
            assert "belongs to another user" in err
            assert "apps that serve without a hanoverd are not listed: permission denied by the Docker engine" in err

    def test_a_daemon_whose_socket_is_not_found_keeps_its_app(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            path = lab.runtime / "web.sock"
            path.rename(lab.runtime / "elsewhere")
            assert commands("list", "-q") == ""
            code, _, err = commands.end("stop", "web")
            assert code == 1
            assert "a hanoverd that serves web runs, but its socket was not found" in err
            (lab.runtime / "elsewhere").rename(path)
            assert names(lab.containers("web")) == ["web-0"]
            assert alive(lab) == "web-0"


def test_stale_sockets_are_no_apps(lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
    for name in ("one", "two"):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(lab.runtime / f"{name}.sock"))
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        eventually(lambda: "(running: web; " in commands.end("deploy", "one")[2])
        assert commands("list", "-q") == "web\n"
        assert sorted(path.name for path in lab.runtime.iterdir()) == ["web.lock", "web.sock"]
