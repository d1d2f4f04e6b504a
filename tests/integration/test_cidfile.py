"""The file with the ID of the live container, over the life of an app."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.asking import eventually, hostname
from tests.integration.conftest import StartDaemon
from tests.lab.daemon import run_to_end
from tests.lab.host import Lab


def named(lab: Lab, path: Path) -> str:
    """The name of the container that the file names."""
    status, body = lab.docker("GET", f"/containers/{path.read_text()}/json")
    assert status == 200, body
    name: str = json.loads(body)["Name"]
    return name.removeprefix("/")


def test_the_file_names_what_answers_over_handovers_restarts_and_crashes(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    path, url = tmp_path / "cid", f"http://{lab.host_ip}:8080/"
    line = ("-p", "8080:80", "--name", "web", "--cidfile", str(path))
    with daemon(*line, "--on-exit", "keep", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        assert named(lab, path) == hostname(lab.in_client, url) == "web-0"
        hanoverd.hup()
        hanoverd.wait_live("web-1")
        assert named(lab, path) == hostname(lab.in_client, url) == "web-1"
        assert hanoverd.terminate() == 0
    assert named(lab, path) == "web-1"

    # A restart, as by systemctl: the file is there.
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted")
        hanoverd.wait_live("web-2")
        assert named(lab, path) == hostname(lab.in_client, url) == "web-2"

        # Another app may not use it.
        status, _, error = run_to_end(lab, ["-p", "8081:80", "--name", "shop", "--cidfile", str(path)], cwd=app_folder)
        assert status == 1
        assert "make sure the other container isn't running" in error
        assert "web-2, which is no version of shop" in error
        assert named(lab, path) == "web-2"
        hanoverd.kill()

    # Nothing of the app is left, as after a reboot, but the file.
    for container in lab.containers("web"):
        lab.docker("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("running")
        eventually(lambda: not path.exists() or named(lab, path) == "web-3")
        hanoverd.wait_live("web-3")
        assert named(lab, path) == "web-3"
        assert hanoverd.terminate() == 0
    assert not path.exists()
