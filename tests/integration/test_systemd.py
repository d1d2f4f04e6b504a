"""The units that ship with hanoverd, and what hanoverd reports to a service manager."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.conftest import StartDaemon
from tests.lab.daemon import PROJECT
from tests.lab.host import Lab

UNITS = sorted(path.name for path in (PROJECT / "systemd").glob("*.service"))


@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_a_unit(name: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("hanoverd")
    unit = (PROJECT / "systemd" / name).read_text()
    assert "/opt/hanoverd/bin/hanoverd" in unit
    file = tmp_path / name.replace("@", "@shop")
    file.write_text(unit.replace("/opt/hanoverd/bin/hanoverd", str(program)))
    command = [str(shutil.which("systemd-analyze")), "verify", "--man=no", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_confines_its_service(name: str) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(PROJECT / "systemd" / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert exposure is not None, done.stdout
    print(f"{name}: {exposure[1]}")
    assert float(exposure[1]) <= 4.0, done.stdout


def test_a_service_manager_is_notified(lab: Lab, app_folder: Path, daemon: StartDaemon, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        # The path of a Unix socket has a limit, and the folder of a test is too deep.
        address = lab.folder / "notify"
        manager.bind(str(address))
        manager.settimeout(60)
        env = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "1000000"}
        with daemon("-p", "8080:80", "--name", "notified", cwd=app_folder, env=env) as hanoverd:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            hanoverd.wait_live("notified-0")
            assert hanoverd.terminate() == 0
        said = []
        manager.settimeout(0.1)
        try:
            while True:
                said.append(manager.recv(100))
        except TimeoutError:
            pass
        assert b"STOPPING=1" in said
        assert set(said) <= {b"STOPPING=1", b"WATCHDOG=1"}
    address.unlink()
