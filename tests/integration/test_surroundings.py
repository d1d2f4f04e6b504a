"""Other users, other engines, and a host where programs or the engine are missing."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from tests.integration.asking import ask, eventually, eventually_equal, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.api import call
from tests.lab.certificates import write_certificates
from tests.lab.clients import Clients
from tests.lab.daemon import Daemon, run_to_end
from tests.lab.events import contains
from tests.lab.host import Lab, other_lab
from tests.lab.images import import_base, write_app
from tests.lab.registry import registry

#: A user who is not root.
USER = 65534


def test_an_ordinary_user_can_hand_over_with_copies_of_the_programs_that_have_capabilities(
    lab: Lab, app_folder: Path, daemon: StartDaemon, capable: dict[str, str]
) -> None:
    socket = Path(lab.engine.socket)
    before = socket.stat()
    group = 64999
    os.chown(socket, 0, group)
    os.chmod(socket, 0o660)
    as_user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", f"--groups={group}")
    try:
        with daemon("-p", "8080:80", "--name", "humble", cwd=app_folder, env=capable, as_user=as_user) as hanoverd:
            hanoverd.wait_live("humble-0")
            assert f"Uid:\t{USER}" in Path(f"/proc/{hanoverd.pid}/status").read_text()
            hanoverd.hup()
            hanoverd.wait_live("humble-1")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "humble-1"
            gone = hanoverd.wait_gone("humble-0")
            assert gone["connections"] == 0
            assert gone["drain_seconds"] < 20
            assert hanoverd.terminate() == 0
    finally:
        os.chown(socket, before.st_uid, before.st_gid)
        os.chmod(socket, before.st_mode)


def test_without_conntrack_a_warning_is_logged_once_and_a_drain_takes_the_whole_timeout(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("iptables-save", "iptables-restore"):
        (folder / program).symlink_to(str(shutil.which(program)))
    arguments = ("-p", "8080:80", "--name", "blind", "--drain-timeout", "2s")
    with daemon(*arguments, cwd=app_folder, env={"PATH": str(folder)}) as hanoverd:
        hanoverd.wait_event("conntrack_unavailable")
        hanoverd.wait_live("blind-0")
        for number in (1, 2):
            hanoverd.hup()
            hanoverd.wait_live(f"blind-{number}")
            gone = hanoverd.wait_gone(f"blind-{number - 1}")
            assert gone["connections"] is None
            assert 2 <= gone["drain_seconds"] < 20
        assert len(hanoverd.events("conntrack_unavailable")) == 1


def test_connections_that_outlast_the_drain_are_counted(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    arguments = ("-p", "8080:80", "--name", "cutter", "--drain-timeout", "2s", "--stop-timeout", "0")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("cutter-0")
        clients = Clients(
            lab.in_client, lab.host_ip, "8080", "--path", "/slow?30", "--workers", "3", "--seconds", "0.1"
        )
        hanoverd.hup()
        gone = hanoverd.wait_gone("cutter-0")
        assert gone["connections"] == 3
        assert 2 <= gone["drain_seconds"] < 20
        assert clients.finish()["failed"] == 3


def test_a_version_without_connections_stops_after_the_grace_period(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    arguments = ("-p", "8080:80", "--name", "graced", "--overlap-grace-duration", "3s")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("graced-0")
        hanoverd.hup()
        gone = hanoverd.wait_gone("graced-0")
        assert gone["connections"] == 0
        assert 3 <= gone["drain_seconds"] < 20


def test_flushed_rules_are_repaired_and_cost_no_request(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "flushed", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("flushed-0")
        ask(lab.in_client, f"http://{lab.host_ip}:8080/")
        took = []
        for count in (1, 2, 3):
            begun = time.monotonic()
            subprocess.run(lab.in_host(["iptables", "-t", "nat", "-F"]), check=True)
            # hanoverd relays the clients until the rules are there again.
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "flushed-0"
            assert "Docker's own rules" in hanoverd.wait_event("repaired", count=count)["reason"]
            took.append(time.monotonic() - begun)
            version, _, client = ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[:3]
            assert (version, client) == ("flushed-0", lab.client_ip)
        # Of three, because the machine may be busy.
        assert min(took) < 2, took
        hanoverd.hup()
        hanoverd.wait_live("flushed-1")
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "flushed-1"


def test_an_image_that_the_engine_does_not_have_is_pulled(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    with registry(lab, tmp_path / "registry") as address:
        with daemon("--name", "pushed", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("pushed-0")
        name = f"{address}/some/app"
        assert lab.docker("POST", f"/images/hanoverd/pushed/tag?repo={name}&tag=v1")[0] == 201
        credentials = {"X-Registry-Auth": base64.urlsafe_b64encode(b"{}").decode()}
        _, pushed = call(lab.engine.socket, "POST", f"/images/{name}/push?tag=v1", headers=credentials)
        digest = re.findall(rb"sha256:[0-9a-f]{64}", pushed)[-1].decode()
        lab.docker("DELETE", f"/images/{name}:v1")
        lab.docker("DELETE", "/images/hanoverd/pushed:latest?force=1")
        with daemon("-p", "8080:80", f"{name}:v1", cwd="/") as hanoverd:
            hanoverd.wait_live("app-0")
            environment = ask(lab.in_client, f"http://{lab.host_ip}:8080/env").splitlines()
            assert f"HANOVERD_IMAGE={name}:v1" in environment
            assert f"HANOVERD_IMAGE_REPO={name}" in environment
            assert "HANOVERD_IMAGE_TAGDIGEST=v1" in environment
        with daemon("-p", "8080:80", f"{name}@{digest}", cwd="/") as hanoverd:
            hanoverd.wait_live("app-1")
            environment = ask(lab.in_client, f"http://{lab.host_ip}:8080/env").splitlines()
            assert f"HANOVERD_IMAGE_TAGDIGEST={digest}" in environment


def test_a_trigger_waits_for_a_stopped_engine(tmp_path: Path) -> None:
    with other_lab() as lab:
        import_base(lab)
        write_app(tmp_path)
        with Daemon(lab, ["-p", "8080:80", "--name", "patient"], tmp_path) as hanoverd:
            hanoverd.wait_live("patient-0")
            lab.engine.kill()
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("engine_lost", after=before)
            time.sleep(1)
            # It waits, without a stream of retries.
            assert len(hanoverd.events("engine_lost", "engine_waiting", "engine_failed", after=before)) < 5
            lab.engine.start()
            hanoverd.wait_event("live", after=before)
            # The app died with the engine: its restart may be live for a moment before the version of the trigger.
            url = f"http://{lab.host_ip}:8080/"
            eventually(lambda: hostname(lab.in_client, url) == hanoverd.status()["live"]["version"])
            # A newer trigger and a stop do not wait for an engine that is away.
            write_app(tmp_path, env={"STATUS": "503"})
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("started", after=before)
            lab.engine.kill()
            hanoverd.hup()
            hanoverd.wait_event("cancelled", after=before)
            hanoverd.wait_event("engine_lost", after=before)
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("cancelled", after=before)
            hanoverd.signal(signal.SIGTERM)
            hanoverd.wait_event("stopping")
            time.sleep(3)
            lab.engine.start()
            assert hanoverd.wait() == 0
        assert lab.containers("patient") == []


def test_a_handover_restarts_when_a_crashed_engine_is_back(tmp_path: Path) -> None:
    with other_lab("--live-restore") as lab:
        import_base(lab)
        write_app(tmp_path)
        with Daemon(lab, ["-p", "8080:80", "--name", "orphan"], tmp_path) as hanoverd:
            url = f"http://{lab.host_ip}:8080/"
            hanoverd.wait_live("orphan-0")
            write_app(tmp_path, env={"STATUS": "500"})
            hanoverd.hup()
            hanoverd.wait_event("started", version="orphan-1")
            lab.engine.kill()
            write_app(tmp_path)
            before = hanoverd.position
            hanoverd.hup()
            hanoverd.wait_event("engine_lost", error=contains(lab.docker_host), after=before)
            hanoverd.wait_event("engine_waiting", after=before)
            assert hostname(lab.in_client, url) == "orphan-0"
            lab.engine.start()
            # The trigger is not lost.
            live = str(hanoverd.wait_event("live", after=before)["version"])
            assert hostname(lab.in_client, url) == live
            # The version that could not be removed before is removed now.
            eventually_equal(lambda: names(lab.containers("orphan")), [live])
            assert hanoverd.terminate() == 0
        assert lab.containers("orphan") == []
        with Daemon(lab, ["-p", "8080:80", "--name", "orphan"], tmp_path) as hanoverd:
            first = int(hanoverd.wait_event("live")["version"].rpartition("-")[2])
            for number in (first, first + 1):
                hanoverd.wait_live(f"orphan-{number}")
                assert hostname(lab.in_client, url) == f"orphan-{number}"
                hanoverd.hup()


def test_handovers_work_with_an_engine_behind_tls(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    write_certificates(certificates)
    files = [f"--tlscacert={certificates}/ca.pem", f"--tlscert={certificates}/server-cert.pem"]
    files += [f"--tlskey={certificates}/server-key.pem"]
    with other_lab("--tlsverify", *files, "-H", "tcp://127.0.0.1:2376") as lab:
        import_base(lab)
        write_app(tmp_path / "app")
        env = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(certificates)}
        with Daemon(lab, ["-p", "8080:80", "--name", "secure"], tmp_path / "app", env) as hanoverd:
            hanoverd.wait_live("secure-0")
            hanoverd.hup()
            hanoverd.wait_gone("secure-0")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "secure-1"
        # An engine with a certificate of another authority is not trusted.
        write_certificates(tmp_path / "others")
        code, _, err = run_to_end(lab, [], tmp_path / "app", {**env, "DOCKER_CERT_PATH": str(tmp_path / "others")})
        assert code == 1
        assert "no TLS with the Docker engine at tcp://127.0.0.1:2376" in err
        assert "certificate" in err
