"""A newer trigger cancels a handover in any phase before the flip, and nothing of it is left."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.integration.asking import eventually_equal, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

SLOW_STEP = f'FROM {BASE}\nRUN ["busybox", "sleep", "60"]\n'


def builds_under_way(lab: Lab) -> int:
    """Return the number of containers that run a step of a build: these do not have hanoverd's label."""
    _, body = lab.docker("GET", "/containers/json")
    return sum(1 for container in json.loads(body) if container["Labels"].get("orchestrator") != "hanoverd")


def assert_only_live(lab: Lab, app: str, version: str) -> None:
    """``version`` serves, and in the end it is the only one that is left."""
    assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == version
    eventually_equal(lambda: names(lab.containers(app)), [version])


def test_a_newer_trigger_stops_a_build(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "built", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("built-0")
        for _ in range(2):
            (app_folder / "Dockerfile").write_text(SLOW_STEP)
            hanoverd.hup()
            eventually_equal(lambda: builds_under_way(lab), 1)
            write_app(app_folder)
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("cancelled", after=before)
            eventually_equal(lambda: builds_under_way(lab), 0, seconds=30)
            live = hanoverd.wait_event("live", after=before)["version"]
        assert_only_live(lab, "built", live)


def test_a_newer_trigger_cancels_a_start(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "begun", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("begun-0")
        before = hanoverd.position
        hanoverd.hup()
        for _ in range(2):
            # The start follows, and takes the engine a quarter of a second.
            hanoverd.wait_event("created", after=before)
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("cancelled", after=before)
        live = hanoverd.wait_event("live", after=before)["version"]
        assert_only_live(lab, "begun", live)


def test_a_newer_trigger_cancels_a_readiness_check(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "polled", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("polled-0")
        write_app(app_folder, env={"MUTE": "1"})
        before = hanoverd.position
        hanoverd.hup()
        for _ in range(2):
            hanoverd.wait_event("started", after=before)
            time.sleep(0.3)
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("cancelled", after=before)
        write_app(app_folder)
        hanoverd.hup()
        live = hanoverd.wait_event("live", after=before)["version"]
        assert_only_live(lab, "polled", live)


def test_ten_sighups_in_a_burst_make_one_more_live_version(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "burst", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("burst-0")
        # Each handover takes longer than the burst, also on a busy machine.
        write_app(app_folder, env={"READY_AFTER": "2"})
        for _ in range(10):
            hanoverd.hup()
            time.sleep(0.03)
        hanoverd.wait_gone("burst-0")
        first, second = hanoverd.events("live")
        assert first["version"] == "burst-0"
        assert_only_live(lab, "burst", second["version"])


def test_a_stop_cancels_a_build(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "ended", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("ended-0")
        (app_folder / "Dockerfile").write_text(SLOW_STEP)
        hanoverd.hup()
        eventually_equal(lambda: builds_under_way(lab), 1)
        begun = time.monotonic()
        assert hanoverd.terminate() == 0
        assert time.monotonic() - begun < 40
        eventually_equal(lambda: builds_under_way(lab), 0, seconds=30)
