"""A newer trigger cancels a handover that is not live yet, wherever it is; nothing of it is left."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.integration.asking import eventually, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

SLOW_STEP = f'FROM {BASE}\nRUN ["busybox", "sleep", "60"]\n'


def builds_under_way(lab: Lab) -> int:
    """Containers that run a step of a build: those that are not hanoverd's."""
    _, body = lab.docker("GET", "/containers/json")
    return sum(1 for container in json.loads(body) if container["Labels"].get("orchestrator") != "hanoverd")


def only_live(lab: Lab, app: str, number: int) -> bool:
    """Whether version ``number`` is the one that is left, and serves."""
    assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == f"{app}-{number}"
    return eventually(lambda: names(lab.containers(app)) == [f"{app}-{number}"])


def test_in_mid_build_the_engine_stops_building(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "built", cwd=app_folder) as hanoverd:
        hanoverd.wait_for("built-0 is live")
        for _ in range(2):
            (app_folder / "Dockerfile").write_text(SLOW_STEP)
            hanoverd.hup()
            eventually(lambda: builds_under_way(lab) == 1)
            write_app(app_folder)
            before = len(hanoverd.log())
            hanoverd.hup()
            hanoverd.wait_for("handover cancelled: a newer one begins", after=before)
            eventually(lambda: builds_under_way(lab) == 0, seconds=5)
            hanoverd.wait_for(r"built-\d is live", after=before)
        # Those that were cancelled have used numbers, too.
        assert only_live(lab, "built", 4)


def test_in_mid_start(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "begun", cwd=app_folder) as hanoverd:
        hanoverd.wait_for("begun-0 is live")
        before = len(hanoverd.log())
        hanoverd.hup()
        for number in (1, 2):
            # The start comes next, and takes the engine a quarter of a second.
            hanoverd.wait_for(f"begun-{number}: created", after=before)
            before = len(hanoverd.log())
            hanoverd.hup()
            hanoverd.wait_for("handover cancelled", after=before)
        hanoverd.wait_for("begun-3 is live", after=before)
        assert only_live(lab, "begun", 3)


def test_in_mid_poll(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "polled", cwd=app_folder) as hanoverd:
        hanoverd.wait_for("polled-0 is live")
        write_app(app_folder, env={"MUTE": "1"})
        before = len(hanoverd.log())
        hanoverd.hup()
        for number in (1, 2):
            hanoverd.wait_for(f"polled-{number}: started", after=before)
            time.sleep(0.3)
            before = len(hanoverd.log())
            hanoverd.hup()
            hanoverd.wait_for("handover cancelled", after=before)
        write_app(app_folder)
        hanoverd.hup()
        live = int(hanoverd.wait_for(r"polled-(\d+) is live", after=before)[1])
        assert live > 2
        assert only_live(lab, "polled", live)


def test_ten_sighups_in_a_burst_make_one_more_live_version(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "burst", cwd=app_folder) as hanoverd:
        hanoverd.wait_for("burst-0 is live")
        for _ in range(10):
            hanoverd.hup()
            time.sleep(0.03)
        hanoverd.wait_for("burst-0 is gone")
        # Those in between were cancelled, and have used their numbers.
        live = int(hanoverd.wait_for(r"burst-([1-9]\d*) is live")[1])
        assert only_live(lab, "burst", live)
        assert hanoverd.log().count(" is live: ") == 2


def test_stopping_cancels_too(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "ended", cwd=app_folder) as hanoverd:
        hanoverd.wait_for("ended-0 is live")
        (app_folder / "Dockerfile").write_text(SLOW_STEP)
        hanoverd.hup()
        eventually(lambda: builds_under_way(lab) == 1)
        begun = time.monotonic()
        assert hanoverd.terminate() == 0
        assert time.monotonic() - begun < 20
        eventually(lambda: builds_under_way(lab) == 0, seconds=5)
