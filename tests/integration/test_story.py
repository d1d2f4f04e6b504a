"""A handover from start to end: what clients see, and what the container gets."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.asking import ask, environment, hostname, names, refused
from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab
from tests.lab.images import write_app


def test_the_first_version_is_number_0_and_sighup_deploys_the_next(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with daemon("--name", "story", "-p", "8080:80", cwd=app_folder) as hanoverd:
        url = f"http://{lab.host_ip}:8080/"
        for number in range(3):
            if number:
                hanoverd.hup()
            hanoverd.wait_live(f"story-{number}")
            assert hostname(lab.in_client, url) == f"story-{number}"
            assert hostname(lab.in_host, url) == f"story-{number}"
            assert hostname(lab.in_host, "http://127.0.0.1:8080/") == f"story-{number}"
        hanoverd.wait_gone("story-1")
        assert names(lab.containers("story")) == ["story-2"]
        assert hanoverd.terminate() == 0
    assert refused(lab.in_client, url)


def test_the_app_sees_the_clients_own_address(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "addresses", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("addresses-0")
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[-1] == lab.client_ip


def test_the_container_has_variables_and_labels_about_its_image(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    arguments = ("-p", "8080:80", "--name", "labelled", "-e", "COLOUR=blue", "-e", "UNSET_HERE")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("labelled-0")
        variables = environment(ask(lab.in_client, f"http://{lab.host_ip}:8080/env"))
        assert variables["COLOUR"] == "blue"
        assert variables["HOSTNAME"] == "labelled-0"
        assert (
            variables["HANOVERD_IMAGE"] == f"{variables['HANOVERD_IMAGE_REPO']}:{variables['HANOVERD_IMAGE_TAGDIGEST']}"
        )
        [container] = lab.containers("labelled")
        assert container["Labels"] == {
            **container["Labels"],
            "orchestrator": "hanoverd",
            "hanoverd.app": "labelled",
            "hanoverd.generation": "0",
            "hanoverd.image": container["ImageID"],
        }


def test_an_unready_version_cannot_be_reached_from_outside(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "-e", "UNREADY_FOR=60", "--name", "shy", cwd=app_folder) as hanoverd:
        hanoverd.wait_event("started", version="shy-0")
        [container] = lab.containers("shy")
        [binding] = [port for port in container["Ports"] if port["PrivatePort"] == 80 and "PublicPort" in port]
        assert binding["IP"] == "127.0.0.1"
        assert refused(lab.in_client, f"http://{lab.host_ip}:{binding['PublicPort']}/")
        assert refused(lab.in_client, f"http://{lab.host_ip}:8080/")


def test_a_port_is_published_at_its_host_address_only(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon(
        "-p", "127.0.0.1:8080:80", "-p", f"{lab.host_ip}:8081:80", "--name", "bound", cwd=app_folder
    ) as hanoverd:
        hanoverd.wait_live("bound-0")
        assert hostname(lab.in_host, "http://127.0.0.1:8080/") == "bound-0"
        assert refused(lab.in_host, f"http://{lab.host_ip}:8080/")
        assert refused(lab.in_client, f"http://{lab.host_ip}:8080/")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8081/") == "bound-0"
        assert refused(lab.in_host, "http://127.0.0.1:8081/")


def test_a_port_that_is_not_exposed_can_get_a_random_host_port(lab: Lab, tmp_path: Path, daemon: StartDaemon) -> None:
    write_app(tmp_path, expose=(), env={"PORTS": "8000"})
    with daemon("-p", "8000", "--name", "anyport", cwd=tmp_path) as hanoverd:
        hanoverd.wait_live("anyport-0")
        port = hanoverd.status()["ports"][0]["host_port"]
        assert hostname(lab.in_client, f"http://{lab.host_ip}:{port}/") == "anyport-0"
        hanoverd.hup()
        hanoverd.wait_live("anyport-1")
        assert hanoverd.status()["ports"][0]["host_port"] == port
        assert hostname(lab.in_client, f"http://{lab.host_ip}:{port}/") == "anyport-1"


def test_without_published_ports_the_exposed_ports_are_checked(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("--name", "inward", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("inward-0")
        assert hanoverd.status()["ports"] == []
        assert names(lab.containers("inward")) == ["inward-0"]


def test_arguments_after_at_are_the_containers_command(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    command = ("@", "python3", "/server.py", "one", "--two", "-p")
    with daemon("-p", "8080:80", "--name", "argued", *command, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("argued-0")
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/argv").split()[-3:] == ["one", "--two", "-p"]


def test_an_image_that_the_engine_has_is_not_pulled(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("--name", "maker", "-p", "8080:80", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("maker-0")
    with daemon("-p", "8080:80", "hanoverd/maker", cwd="/") as hanoverd:
        hanoverd.wait_live("maker-1")
        variables = environment(ask(lab.in_client, f"http://{lab.host_ip}:8080/env"))
        assert variables["HANOVERD_IMAGE_REPO"] == "hanoverd/maker"


def test_volumes_and_mounts_reach_the_container(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    (app_folder / "shared").mkdir()
    arguments = ("-v", "./shared:/a:ro", "-v", "/anonymous", "--mount", "type=tmpfs,dst=/b,tmpfs-size=1m")
    with daemon("-p", "8080:80", "--name", "mounted", *arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("mounted-0")
        _, body = lab.docker("GET", "/containers/mounted-0/json")
        mounts = {mount["Destination"]: mount for mount in json.loads(body)["Mounts"]}
        assert (mounts["/a"]["Source"], mounts["/a"]["RW"]) == (str(app_folder / "shared"), False)
        assert mounts["/anonymous"]["Type"] == "volume"
        assert mounts["/b"]["Type"] == "tmpfs"
        volume = mounts["/anonymous"]["Name"]
        hanoverd.terminate()
    # The anonymous volume goes with its container.
    assert lab.docker("GET", f"/volumes/{volume}")[0] == 404


def test_two_ports_move_together(lab: Lab, tmp_path: Path, daemon: StartDaemon) -> None:
    """A client that requests one port and then the other never reaches an older version at the second."""
    write_app(tmp_path, expose=(80, 81), env={"PORTS": "80,81"})
    with daemon("-p", "8080:80", "-p", "8081:81", "--name", "pair", cwd=tmp_path) as hanoverd:
        hanoverd.wait_live("pair-0")
        watcher = subprocess.Popen(
            lab.in_client([sys.executable, str(Path(__file__).with_name("pairwatch.py")), lab.host_ip, "8080", "8081"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, 6):
            hanoverd.hup()
            hanoverd.wait_live(f"pair-{number}")
        out, _ = watcher.communicate()
        seen = json.loads(out)
        assert seen["went_back"] == []
        assert seen["versions"] == [f"pair-{number}" for number in range(6)]
        assert seen["pairs"] > 100


def test_the_phases_of_a_handover_are_logged_in_their_order(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "logged", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("logged-0")
        hanoverd.hup()
        hanoverd.wait_gone("logged-0")
        ids = ("obtaining", "obtained", "created", "started", "ready", "routed", "live")
        found = hanoverd.events(*ids, version="logged-1")
        assert [event.id for event in found] == list(ids)
        # The last time is that of the whole handover.
        times = [event["seconds"] for event in found[1:]]
        assert sum(times[:-1]) == pytest.approx(times[-1], abs=0.3)
        # The output of the container, with the name of its version.
        hanoverd.wait_event("output", version="logged-0", line="SIGTERM")
