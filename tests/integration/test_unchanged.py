"""``--if-changed``: a handover that would change nothing is skipped, and any other is carried out."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.asking import ask, hostname, names
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import Commands, commands
from tests.integration.test_docker_options import OPTIONS
from tests.lab.host import Lab
from tests.lab.images import write_app

__all__ = ["commands"]

ARGUMENTS = ("-p", "8080:80", "--name", "web", "--status-timeout", "60s")


def ids(lab: Lab) -> list[str]:
    """Return the IDs of the containers that run."""
    return [str(one["Id"]) for one in lab.containers("web") if one["State"] == "running"]


def test_a_deploy_that_would_change_nothing_is_skipped_and_others_are_carried_out(
    lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, tmp_path: Path
) -> None:
    variables = tmp_path / "env"
    variables.write_text("WORD=one\n")
    with daemon(*ARGUMENTS, "--env-file", str(variables), *OPTIONS, "--keep-versions", "0", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        before = (ids(lab), lab.image_ids())
        out = commands("deploy", "web", "--if-changed", "--wait")
        assert out.splitlines()[-1].startswith("web: unchanged, nothing to do after "), out
        assert (ids(lab), lab.image_ids()) == before
        hanoverd.wait_event("unchanged", version="web-0")
        last = commands.history()[-1]
        assert (last["outcome"], last["version"], last["trigger"]) == (
            "unchanged",
            "web-0",
            "hanoverd deploy (if changed)",
        )
        assert "unchanged after " in commands("status", "web")
        # The same for a container that was paused: it does not answer.
        assert lab.docker("POST", "/containers/web-0/pause")[0] == 204
        commands("deploy", "web", "--if-changed", "--wait")
        hanoverd.wait_live("web-2")
        # A variable, then the image, then nothing, then in any case.
        variables.write_text("WORD=two\n")
        commands("deploy", "web", "--if-changed", "--wait")
        hanoverd.wait_live("web-3")
        write_app(app_folder, version="2")
        commands("deploy", "web", "--if-changed", "--wait")
        hanoverd.wait_live("web-4")
        assert "unchanged" in commands("deploy", "web", "--if-changed", "--wait")
        assert commands("deploy", "web", "--wait").splitlines()[-1].startswith("web: web-6 ")
        # The one that was paused is killed, after its stop timeout.
        for version in ("web-0", "web-2", "web-3", "web-4"):
            hanoverd.wait_gone(version)
        assert names(lab.containers("web")) == ["web-6"]


def test_a_signal_and_a_start_are_skipped_as_the_daemon_says(
    lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
) -> None:
    options = (*ARGUMENTS, *OPTIONS, "--on-exit", "keep", "--if-changed")
    with daemon(*options, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.hup()
        hanoverd.wait_event("unchanged", version="web-0")
        write_app(app_folder, version="2")
        hanoverd.hup()
        hanoverd.wait_live("web-2")
        hanoverd.wait_gone("web-0")
        before = hanoverd.position
        commands("rollback", "web", "--wait")
        hanoverd.wait_live("web-3", after=before)
        hanoverd.hup()
        hanoverd.wait_live("web-4", after=before)
        hanoverd.hup()
        hanoverd.wait_event("unchanged", version="web-4")
    with daemon(*options, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="web-4")
        hanoverd.wait_event("unchanged", version="web-4")
        assert commands.status()["live"]["version"] == "web-4"
    with daemon(*options, "--memory", "65m", cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="web-4")
        hanoverd.wait_event("live")
        status = hanoverd.wait_status(lambda one: one["live"]["version"] != "web-4" and one["state"] == "live")
        found = json.loads(lab.docker("GET", f"/containers/{status['live']['version']}/json")[1])
        assert found["HostConfig"]["Memory"] == 65 * 1024 * 1024
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "shop"
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[1] == "2"
        commands("stop", "web")
