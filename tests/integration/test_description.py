"""A real hanoverd, asked what its OpenAPI description allows, and what it forbids."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from openapi_spec_validator import validate

from tests.integration.conftest import StartDaemon
from tests.integration.test_control import ARGUMENTS, alive
from tests.lab.api import call, get_json
from tests.lab.host import Lab
from tests.lab.tcp_relay import tcp_relay

DESCRIPTION = Path(__file__).parents[2] / "hanoverd" / "api" / "openapi.json"


def schemathesis(port: int, cwd: Path) -> None:
    """Run Schemathesis with all of its checks, and the same requests each time; each finding is an AssertionError."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"),
            "run",
            DESCRIPTION,
            f"--url=http://127.0.0.1:{port}",
            # It would end the test; it is sent last.
            "--exclude-path=/stop",
            "--checks=all",
            "--max-examples=10",
            "--seed=1",
            "--generation-database=none",
            "--request-timeout=30",
            "--continue-on-failure",
            "--no-color",
        ],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_description_is_valid() -> None:
    validate(json.loads(DESCRIPTION.read_text()))


def test_hanoverd_answers_as_it_is_described(lab: Lab, app_folder: Path, daemon: StartDaemon, tmp_path: Path) -> None:
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        # It speaks no TLS itself, and has not loaded the libraries for it.
        assert "/cryptography/" not in Path(f"/proc/{hanoverd.pid}/maps").read_text()
        path = lab.runtime / "web.sock"
        assert get_json(str(path), "/openapi.json") == json.loads(DESCRIPTION.read_text())
        with tcp_relay(path) as port:
            schemathesis(port, tmp_path)
        # It was asked for handovers, and did them.
        hanoverd.wait_status(lambda status: status["handover"]["outcome"] != "under way")
        assert hanoverd.status()["live"] is not None
        assert alive(lab) == hanoverd.status()["live"]["version"]
        assert hanoverd.events("internal_error") == []
        code, answer = call(str(path), "POST", "/stop")
        assert (code, json.loads(answer)) == (200, {"pid": hanoverd.pid, "unit": None})
        assert hanoverd.wait() == 0
    assert lab.containers() == []
