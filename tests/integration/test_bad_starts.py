"""Errors at the start: a clear message on standard error, a non-zero exit status, and no change to the host."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.asking import hostname
from tests.integration.conftest import StartDaemon
from tests.lab.daemon import run_to_end
from tests.lab.host import Lab

USAGE, START = 125, 1
ORDINARY_USER = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "80:abc"], "invalid containerPort: abc"),
        (["-p", "99999:80"], "invalid hostPort: 99999"),
        (["-p", "8080:80/sctp"], "sctp cannot be published"),
        (["-p", "8080:80", "-p", "8080:81"], "8080"),
        (["-p"], "flag needs an argument: 'p' in -p"),
        (["--status-timeout", "30"], "missing unit"),
        (["--drain-timeout", "-5s"], "negative"),
        (["--status-uri", "health"], "/"),
        (["-v", "/a:/b:sometimes"], "invalid mode: sometimes"),
        (["-v", "a/b:/c"], "a/b"),
        (["--mount", "type=bind,target=/a"], "Source"),
        (["--mount", "type=bind,source=/a,target=/b,speed=fast"], "unexpected key 'speed'"),
        (["--stop-signal", "SIGNONE"], "SIGNONE"),
        (["-e", "=x"], "invalid environment variable: =x"),
        (["--name", "-x"], "-x"),
        (["--publsh", "80"], "unknown flag: --publsh"),
        (["-z"], "unknown shorthand flag: 'z' in -z"),
        (["UPPER"], "must be lowercase"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_refused(lab: Lab, app_folder: Path, arguments: list[str], message: str) -> None:
    code, out, err = run_to_end(lab, arguments, app_folder)
    assert (code, out) == (USAGE, "")
    assert err.startswith("hanoverd: ")
    assert message in err
    assert "Traceback" not in err


def test_a_folder_without_a_dockerfile_is_refused(lab: Lab, tmp_path: Path) -> None:
    code, out, err = run_to_end(lab, ["-p", "8080:80"], tmp_path)
    assert (code, out) == (START, "")
    assert f"there is no Dockerfile in {tmp_path}" in err


def test_an_engine_that_does_not_answer_is_reported(lab: Lab, app_folder: Path, tmp_path: Path) -> None:
    address = f"unix://{tmp_path}/missing.sock"
    code, out, err = run_to_end(lab, ["-p", "8080:80"], app_folder, {"DOCKER_HOST": address})
    assert (code, out) == (START, "")
    assert f"no Docker engine answers at {address} (from DOCKER_HOST)" in err
    assert "Traceback" not in err


def test_an_engine_on_tcp_that_does_not_answer_is_reported(lab: Lab, app_folder: Path) -> None:
    code, _, err = run_to_end(lab, ["-p", "8080:80"], app_folder, {"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert code == START
    assert "no Docker engine answers at tcp://127.0.0.1:1 (from DOCKER_HOST): ECONNREFUSED" in err


def test_a_docker_context_that_does_not_exist_is_reported(lab: Lab, app_folder: Path) -> None:
    code, _, err = run_to_end(lab, [], app_folder, {"DOCKER_HOST": "", "DOCKER_CONTEXT": "nowhere"})
    assert code == START
    assert "the context nowhere of DOCKER_CONTEXT does not exist" in err


def test_missing_permission_for_the_engine_is_reported(lab: Lab, app_folder: Path, capable: dict[str, str]) -> None:
    code, out, err = run_to_end(lab, ["-p", "8080:80"], app_folder, capable, ORDINARY_USER)
    assert (code, out) == (START, "")
    assert f"permission denied by the Docker engine at {lab.docker_host}" in err


def test_missing_permission_for_the_firewall_is_reported(lab: Lab, app_folder: Path) -> None:
    code, out, err = run_to_end(lab, ["-p", "8080:80"], app_folder, None, ORDINARY_USER)
    assert (code, out) == (START, "")
    assert "iptables-save failed" in err
    assert "setcap" in err


def test_a_missing_firewall_program_is_reported(lab: Lab, app_folder: Path, tmp_path: Path) -> None:
    program = app_folder / "iptables-save"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    program.chmod(0o755)
    code, out, err = run_to_end(lab, ["-p", "8080:80"], app_folder, {"PATH": "/nowhere"})
    assert (code, out) == (START, "")
    assert "iptables-save is not on PATH" in err
    assert not (tmp_path / "executed").exists()
    assert not Path("/executed-from-the-current-folder").exists()


def test_a_host_port_in_use_is_refused(lab: Lab, app_folder: Path) -> None:
    listener = subprocess.Popen(
        lab.in_host([sys.executable, "-c", _LISTEN]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        code, out, err = run_to_end(lab, ["-p", "8080:80"], app_folder)
        assert (code, out) == (START, "")
        assert f"0.0.0.0:8080: process {listener.pid} (python" in err
        assert ") listens on it: stop that one" in err
        code, out, err = run_to_end(lab, ["-p", "127.0.0.1:8080:80"], app_folder)
        assert (code, out) == (START, "")
    finally:
        listener.communicate("")


_LISTEN = """
import socket, sys
listener = socket.create_server(("", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
sys.stdin.read()
"""


def test_an_address_of_another_host_is_refused(lab: Lab, app_folder: Path) -> None:
    code, _, err = run_to_end(lab, ["-p", "203.0.113.1:8080:80"], app_folder)
    assert code == START
    assert "203.0.113.1 is not an address of this host" in err


def test_a_port_and_a_name_of_another_hanoverd_are_refused(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "first", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("first-0")
        before = lab.iptables_save()
        code, out, err = run_to_end(lab, ["-p", "8080:80", "--name", "second"], app_folder)
        assert (code, out) == (START, "")
        assert "port 8080 is routed by the firewall chain HANOVERD-first-IN" in err
        code, out, err = run_to_end(lab, ["-p", "8081:80", "--name", "first"], app_folder)
        assert (code, out) == (START, "")
        assert "an app named first is running already" in err
        assert lab.iptables_save().splitlines()[1:-1] == before.splitlines()[1:-1]
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "first-0"


def test_other_programs_cannot_listen_on_a_published_port(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "holder", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("holder-0")
        code = "import socket; socket.create_server(('', 8080))"
        done = subprocess.run(lab.in_host([sys.executable, "-c", code]), capture_output=True, text=True, check=False)
        assert os.strerror(socket.errno.EADDRINUSE) in done.stderr  # type: ignore[attr-defined]


def test_help_and_version_work_without_engine_and_firewall(lab: Lab, tmp_path: Path) -> None:
    nothing = {"DOCKER_HOST": "unix:///nowhere", "PATH": "/nowhere"}
    code, out, err = run_to_end(lab, ["--help"], tmp_path, nothing)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: ")
    code, out, err = run_to_end(lab, ["--version"], tmp_path, nothing)
    assert (code, out.split()[0], err) == (0, "hanoverd", "")


def test_an_unreadable_dockerfile_is_reported(lab: Lab, app_folder: Path, capable: dict[str, str]) -> None:
    (app_folder / "Dockerfile").chmod(0o600)
    code, out, err = run_to_end(lab, [], app_folder, capable, ORDINARY_USER)
    assert (code, out) == (START, "")
    assert f"cannot read {app_folder}/Dockerfile: Permission denied: hanoverd runs as user 65534" in err
