"""A version that fails is removed, and its error is logged; the old version stays live."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.integration.asking import hostname, names, refused
from tests.integration.conftest import StartDaemon
from tests.lab.api import get_json
from tests.lab.events import contains
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

URL = "http://{}:8080/"


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (
            {"STATUS": "404"},
            r"not ready within the status timeout of 4s, after \d+ probes; .* port 80: HTTP status 404",
        ),
        ({"STATUS": "301"}, r"port 80: HTTP status 301"),
        ({"MUTE": "1"}, r"not ready within the status timeout of 4s"),
        ({"READY_AFTER": "60"}, r"port 80: .*[Rr]efused"),
        ({"PORTS": "8000"}, r"port 80: .*[Rr]efused"),
        ({"EXIT": "3"}, r"exited with code 3 before it was ready; its last line:\n\s+cannot continue: exiting with 3"),
    ],
    ids=["404", "a redirect", "accepts and never answers", "never listens", "listens elsewhere", "exits at once"],
)
def test_the_old_version_stays_live_when_the_new_one_fails(
    lab: Lab, app_folder: Path, daemon: StartDaemon, env: dict[str, str], reason: str
) -> None:
    with daemon("-p", "8080:80", "--name", "tried", "--status-timeout", "4s", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("tried-0")
        write_app(app_folder, env=env)
        hanoverd.hup()
        assert re.search(reason, hanoverd.wait_event("failed", version="tried-1")["error"])
        hanoverd.wait_event("waiting", serving="tried-0")
        assert names(lab.containers("tried")) == ["tried-0"]
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "tried-0"
        write_app(app_folder)
        hanoverd.hup()
        hanoverd.wait_live("tried-2")
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "tried-2"


def test_a_failed_first_version_leaves_the_daemon_waiting(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    write_app(app_folder, env={"EXIT": "7"})
    with daemon("-p", "8080:80", "--name", "late", cwd=app_folder) as hanoverd:
        assert "exited with code 7" in hanoverd.wait_event("failed", version="late-0")["error"]
        hanoverd.wait_event("waiting", serving=None)
        assert refused(lab.in_client, URL.format(lab.host_ip))
        write_app(app_folder)
        hanoverd.hup()
        hanoverd.wait_live("late-1")


def test_a_version_that_answers_503_at_first_becomes_ready(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "-e", "UNREADY_FOR=1.5", "--name", "warming", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("warming-0")
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "warming-0"


def test_an_app_that_answers_after_10_seconds_becomes_ready(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "-e", "READY_AFTER=10", "--name", "slow", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("slow-0")
        assert hanoverd.wait_event("ready", version="slow-0")["seconds"] > 9


def test_every_published_port_must_accept_connections(lab: Lab, tmp_path: Path, daemon: StartDaemon) -> None:
    write_app(tmp_path, env={"PORTS": "80"})
    with daemon("-p", "8080:80", "-p", "8081:81", "--status-timeout", "1s", "--name", "half", cwd=tmp_path) as hanoverd:
        error = hanoverd.wait_event("failed", version="half-0")["error"]
        assert re.search(r"port 80: HTTP status 200; port 81: .*refused", error)


def test_the_readiness_check_requests_the_status_uri(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--status-uri", "/slow?0.2", "--name", "asked", cwd=app_folder) as hanoverd:
        assert 0.2 <= hanoverd.wait_event("ready", version="asked-0")["seconds"] < 10


def test_an_invalid_dockerfile_fails_the_handover(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    (app_folder / "Dockerfile").write_text("FORM scratch\n")
    with daemon("--name", "typo", cwd=app_folder) as hanoverd:
        error = hanoverd.wait_event("failed")["error"]
        assert str(app_folder) in error
        assert "unknown instruction: form" in error.lower()
        hanoverd.wait_event("start_failed")
        assert hanoverd.wait() == 1


def test_a_build_step_that_fails_shows_its_output(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "broken", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("broken-0")
        (app_folder / "Dockerfile").write_text(f'FROM {BASE}\nRUN ["sh", "-c", "echo the disk is sad; exit 5"]\n')
        hanoverd.hup()
        error = hanoverd.wait_event("failed")["error"]
        assert "returned a non-zero code: 5" in error
        assert "the disk is sad" in error
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "broken-0"


def test_an_image_that_cannot_be_pulled_fails_the_handover(lab: Lab, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "127.0.0.1:1/nothing:v1", cwd="/") as hanoverd:
        error = hanoverd.wait_event("failed")["error"]
        assert "127.0.0.1:1/nothing:v1" in error
        assert "connection refused" in error
        hanoverd.wait_event("start_failed")
        assert hanoverd.wait() == 1


def test_an_image_without_ports_fails_the_handover(lab: Lab, tmp_path: Path, daemon: StartDaemon) -> None:
    write_app(tmp_path, expose=())
    with daemon("--name", "portless", cwd=tmp_path) as hanoverd:
        hanoverd.wait_event("failed", version="portless-0", error=contains("hanoverd/portless:latest exposes none"))


def test_an_image_that_exposes_all_ports_is_not_probed_without_a_published_port(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    dockerfile = app_folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}EXPOSE 1-65535 1-65535/udp\n")
    with daemon("--name", "wide", cwd=app_folder) as hanoverd:
        hanoverd.wait_event("failed", version="wide-0", error=contains("exposes more than 64 TCP ports"))
    with daemon("-p", "8080:80", "--name", "wide", cwd=app_folder) as hanoverd:
        assert hanoverd.wait_live("wide-1")["seconds"] < 30
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "wide-1"


def test_a_foreign_container_of_the_same_name_is_left_alone(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    lab.docker("POST", "/containers/create?name=taken-0", {"Image": BASE, "Cmd": ["sh"]})
    try:
        with daemon("-p", "8080:80", "--name", "taken", cwd=app_folder) as hanoverd:
            hanoverd.wait_event("name_taken", version="taken-0", successor="taken-1")
            hanoverd.wait_live("taken-1")
        assert lab.docker("GET", "/containers/taken-0/json")[0] == 200
    finally:
        lab.docker("DELETE", "/containers/taken-0")


def test_a_container_with_the_labels_of_a_version_from_its_image_is_left_alone(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    # Anyone who writes an image can give it these labels, and its containers inherit them.
    labels = "LABEL orchestrator=hanoverd hanoverd.app=web hanoverd.generation=7\n"
    write_app(tmp_path / "foreign", version="foreign")
    dockerfile = tmp_path / "foreign" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + labels)
    with daemon("-p", "8081:80", "--name", "foreign", cwd=tmp_path / "foreign") as builder:
        builder.wait_live("foreign-0")
        # Its own version is its own.
        assert [one["version"] for one in get_json(str(lab.runtime / "foreign.sock"), "/versions")] == ["foreign-0"]
        lab.docker("POST", "/containers/create?name=shop", {"Image": "hanoverd/foreign:latest"})
        try:
            lab.docker("POST", "/containers/shop/start")
            with daemon("-p", "8080:80", "--name", "web", cwd=app_folder) as hanoverd:
                hanoverd.wait_live("web-0")
                assert not hanoverd.events("adopted", "leftover", "not_adopted")
                assert hostname(lab.in_client, URL.format(lab.host_ip)) == "web-0"
                assert [one["version"] for one in get_json(str(lab.runtime / "web.sock"), "/versions")] == ["web-0"]
            status, body = lab.docker("GET", "/containers/shop/json")
            assert (status, json.loads(body)["State"]["Running"]) == (200, True)
        finally:
            lab.docker("DELETE", "/containers/shop?force=1")


def test_the_rules_of_a_live_version_that_exits_are_removed(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "mortal", "--restart", "no", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("mortal-0")
        with pytest.raises(ConnectionError):
            hostname(lab.in_client, URL.format(lab.host_ip) + "exit?9")
        hanoverd.wait_event("exited", version="mortal-0", code=9, successor=None, restart_seconds=None)
        assert refused(lab.in_client, URL.format(lab.host_ip))
        hanoverd.hup()
        hanoverd.wait_live("mortal-1")
