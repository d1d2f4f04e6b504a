"""Options of the health check, judged by what the engine's probes leave in the container."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.asking import ask, eventually, eventually_equal
from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import Process, inspect
from tests.lab.daemon import run_to_end
from tests.lab.host import Lab


def health(lab: Lab, name: str) -> Any:
    """What the engine knows of a container's health; None without a check."""
    return inspect(lab, name)["State"].get("Health")


def test_the_check_of_the_options_runs_instead_of_that_of_the_image(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    dockerfile = app_folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}HEALTHCHECK --interval=1s CMD touch /tmp/of-image\n")
    line = (
        *(
            "-p",
            "8080:80",
            "--name",
            "web",
            "--health-cmd",
            "echo probe >>/tmp/probes; echo ill; exit $((VERSION - 1))",
        ),
        *("--health-interval", "200ms", "--health-timeout", "5s", "--health-retries", "2"),
        *("--health-start-period", "100ms"),
    )
    with daemon(*line, "--watch", "0", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        eventually_equal(lambda: health(lab, "web-0")["Status"], "healthy")
        process = Process(lab, "web-0")
        eventually(lambda: process.file("/tmp/probes").count("probe\n") >= 2)
        assert not (process.folder / "root/tmp/of-image").exists()
        dockerfile.write_text(dockerfile.read_text().replace('VERSION="1"', 'VERSION="2"'))
        hanoverd.hup()
        hanoverd.wait_live("web-1")
        eventually_equal(lambda: health(lab, "web-1")["Status"], "unhealthy")
        found = health(lab, "web-1")
        assert found["FailingStreak"] >= 2
        assert found["Log"][-1]["Output"] == "ill\n"
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").startswith("web-1")
        assert hanoverd.terminate() == 0


def test_no_healthcheck_switches_that_of_the_image_off(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    dockerfile = app_folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}HEALTHCHECK --interval=100ms CMD touch /tmp/of-image\n")
    with daemon("-p", "8080:80", "--name", "with", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("with-0")
        process = Process(lab, "with-0")
        eventually((process.folder / "root/tmp/of-image").exists)
        assert hanoverd.terminate() == 0
    with daemon("-p", "8080:80", "--name", "without", "--no-healthcheck", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("without-0")
        assert health(lab, "without-0") is None
        assert not (Process(lab, "without-0").folder / "root/tmp/of-image").exists()
        assert hanoverd.terminate() == 0


def test_an_option_that_the_engine_does_not_know_is_refused_and_not_ignored(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    version = json.loads(lab.docker("GET", "/version")[1])["ApiVersion"]
    line = ("-p", "8080:80", "--name", "web", "--health-cmd", "true", "--health-start-interval", "500ms")
    if [int(part) for part in version.split(".")] < [1, 44]:
        code, out, err = run_to_end(lab, line, app_folder)
        assert (code, out) == (1, "")
        assert (
            f'"--health-start-interval" requires API version 1.44, but the Docker daemon API version is {version}'
            in err
        )
        return
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        check = inspect(lab, "web-0")["Config"]["Healthcheck"]
        assert isinstance(check, dict)
        assert check["StartInterval"] == 500_000_000
        assert hanoverd.terminate() == 0
