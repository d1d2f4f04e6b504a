"""--disable-overlap: the two versions never run at the same time, and the old one is restarted if the new one fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.asking import eventually_equal, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app


def test_the_old_version_has_stopped_before_the_new_one_starts(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "single", "--disable-overlap", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("single-0")
        hanoverd.hup()
        hanoverd.wait_live("single-1")
        hanoverd.wait_gone("single-0")
        order = [
            hanoverd.wait_event("obtained", version="single-1"),
            hanoverd.wait_event("created", version="single-1"),
            hanoverd.wait_event("output", version="single-0", line="ended"),
            hanoverd.wait_event("stopped", version="single-0", successor="single-1"),
            hanoverd.wait_event("started", version="single-1"),
        ]
        positions = [event.position for event in order]
        assert positions == sorted(positions)
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "single-1"
        assert names(lab.containers("single")) == ["single-1"]


@pytest.mark.parametrize("env", [{"EXIT": "3"}, {"STATUS": "500"}], ids=["exits", "never ready"])
def test_the_old_version_is_restarted_when_the_new_one_fails(
    lab: Lab, app_folder: Path, daemon: StartDaemon, env: dict[str, str]
) -> None:
    arguments = ("-p", "8080:80", "--name", "again", "--disable-overlap", "--status-timeout", "5s")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("again-0")
        write_app(app_folder, env=env)
        hanoverd.hup()
        hanoverd.wait_event("reinstated", version="again-0")
        hanoverd.wait_event("failed", version="again-1")
        for where in (lab.in_client, lab.in_host):
            assert hostname(where, f"http://{lab.host_ip}:8080/") == "again-0"
        eventually_equal(lambda: names(lab.containers("again")), ["again-0"])
        write_app(app_folder)
        hanoverd.hup()
        hanoverd.wait_live("again-2")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "again-2"
        hanoverd.wait_gone("again-0")


def test_a_build_that_fails_never_stops_the_old_version(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "safe", "--disable-overlap", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("safe-0")
        (app_folder / "Dockerfile").write_text(f'FROM {BASE}\nRUN ["busybox", "false"]\n')
        hanoverd.hup()
        hanoverd.wait_event("failed")
        assert not hanoverd.events("output", version="safe-0", line="SIGTERM")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "safe-0"


def test_a_newer_trigger_during_the_readiness_check_restarts_the_old_version_first(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with daemon("-p", "8080:80", "--name", "newer", "--disable-overlap", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("newer-0")
        write_app(app_folder, env={"STATUS": "500"})
        hanoverd.hup()
        hanoverd.wait_event("started", version="newer-1")
        write_app(app_folder)
        hanoverd.hup()
        reinstated = hanoverd.wait_event("reinstated", version="newer-0")
        live = hanoverd.wait_event("live", after=reinstated)["version"]
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == live
        hanoverd.wait_gone("newer-0")
