"""What shows that a version is ready: each kind on a real engine, judged by what clients reach."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.certificates import write_certificates
from tests.lab.daemon import Daemon, run_to_end
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

URL = "http://{}:8080/"
PUBLISHED = ("-p", "8080:80", "--name", "web")
#: Long enough for the app to start while other tests run.
SHORT = "4s"
SERVER = Path(__file__).parents[1] / "lab" / "picky_server.py"


@pytest.fixture
def folder(app_folder: Path) -> Path:
    """A folder that builds the app that is hard to ask; see ``write``."""
    certificates = app_folder / "tls"
    write_certificates(certificates)
    write(app_folder)
    return app_folder


def write(folder: Path, *lines: str, expose: Sequence[int] = (80,), **env: str) -> None:
    """Write the app's Dockerfile, with more lines."""
    copied = ["COPY app.py /app.py", "COPY tls/server-cert.pem /cert.pem", "COPY tls/server-key.pem /key.pem"]
    given = [f"ENV {name}={json.dumps(value)}" for name, value in env.items()]
    exposed = [f"EXPOSE {port}" for port in expose]
    command = 'CMD ["python3", "-S", "-E", "/app.py"]'
    (folder / "Dockerfile").write_text("\n".join([f"FROM {BASE}", *copied, *given, *exposed, *lines, command, ""]))
    (folder / "app.py").write_bytes(SERVER.read_bytes())


def failure(hanoverd: Daemon, version: str) -> str:
    """Return why a version failed."""
    return str(hanoverd.wait_event("failed", version=version)["error"])


def alive(lab: Lab) -> str:
    """Return the version that answers the client host."""
    return hostname(lab.in_client, URL.format(lab.host_ip))


class TestHTTP:
    """Requests: headers, statuses, ports, successes."""

    def test_an_app_that_knows_one_host_name_is_asked_by_it(self, lab: Lab, folder: Path, daemon: StartDaemon) -> None:
        write(folder, HOST="shop.example", KEY="Basic aHVudGVyMg==")
        headers = ("--status-header", "Host: shop.example", "--status-header", "Authorization: Basic aHVudGVyMg==")
        with daemon(*PUBLISHED, *headers, cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
            shown = Path(f"/proc/{hanoverd.pid}/cmdline").read_text()
            assert "--status-header=Authorization: ***" in shown.split("\0")
            inspected = lab.docker("GET", "/containers/web-0/json")[1].decode()
            for text in (hanoverd.log(), shown, json.dumps(hanoverd.status()), inspected.replace("KEY=Basic", "")):
                assert "--status-header" not in text or "***" in text
                assert "Authorization: Basic" not in text

    def test_without_the_name_the_handover_fails_and_says_so(self, folder: Path, daemon: StartDaemon) -> None:
        write(folder, HOST="shop.example")
        with daemon(*PUBLISHED, "--status-timeout", SHORT, cwd=folder) as hanoverd:
            assert "port 80: HTTP status 421" in failure(hanoverd, "web-0")

    def test_a_redirect_is_ready_where_its_status_is_ok(self, folder: Path, daemon: StartDaemon) -> None:
        write(folder, STATUSES="302")
        with daemon(*PUBLISHED, "--status-ok", "200-299,302", cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
        with daemon(*PUBLISHED, "--status-ok", "200-299", "--status-timeout", SHORT, cwd=folder) as hanoverd:
            assert "HTTP status 302 to /login (redirects are not followed)" in failure(hanoverd, "web-1")

    def test_a_port_for_checks_need_not_be_published(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        write_app(app_folder, env={"PORTS": "80,9000"})
        with daemon(*PUBLISHED, "--status-port", "9000", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert alive(lab) == "web-0"
            # The published port has to accept connections all the same.
            write_app(app_folder, env={"PORTS": "9000"})
            assert hanoverd_deploy(lab, "--status-timeout", SHORT) == 1
            error = failure(hanoverd, "web-1")
            assert re.search(r"port 80: .*refused.*; port 9000: HTTP status 200", error)
            write_app(app_folder, env={"PORTS": "80"})
            assert hanoverd_deploy(lab, "--status-timeout", SHORT) == 1
            assert re.search(r"port 80: accepts connections; port 9000: .*refused", failure(hanoverd, "web-2"))
            assert alive(lab) == "web-0"

    def test_an_app_that_flaps_has_to_succeed_several_times_in_a_row(
        self, lab: Lab, folder: Path, daemon: StartDaemon
    ) -> None:
        write(folder, STATUSES="200,503,200,200,500,200")
        successes = ("--status-successes", "3", "--status-interval", "50ms")
        with daemon(*PUBLISHED, *successes, cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
            answers = [line.split()[-1] for line in hanoverd.log().splitlines() if "answered " in line]
            statuses = [re.sub("[^0-9]", "", answer) for answer in answers]
            assert statuses[:8] == ["200", "503", "200", "200", "500", "200", "200", "200"]
            write(folder, STATUSES=",".join(["200", "200", "503"] * 400))
            # No three of its answers in a row are good.
            assert hanoverd_deploy(lab, "--status-timeout", SHORT) == 1
            assert alive(lab) == "web-0"


class TestHTTPS:
    """Requests over TLS."""

    def test_an_app_with_a_certificate_that_nobody_knows_becomes_ready(
        self, lab: Lab, folder: Path, daemon: StartDaemon
    ) -> None:
        write(folder, TLS="1")
        with daemon("-p", "8080:80", "--name", "web", "--status-kind", "https", cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
            printed = subprocess.run(
                lab.in_client(["curl", "-sk", f"https://{lab.host_ip}:8080/"]),
                capture_output=True,
                text=True,
                check=True,
            )
            assert printed.stdout.startswith("web-0 ")
            # An app that does not speak TLS is not ready.
            write(folder)
            assert hanoverd_deploy(lab, "--status-timeout", SHORT) == 1
            assert "port 80: no TLS connection: " in failure(hanoverd, "web-1")

    def test_the_host_in_the_header_is_the_server_name(self, folder: Path, daemon: StartDaemon) -> None:
        write(folder, TLS="1", HOST="shop.example")
        arguments = (*PUBLISHED, "--status-kind", "https")
        with daemon(*arguments, "--status-header", "Host: shop.example", cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")


class TestTCP:
    """Connections alone."""

    def test_a_port_that_closes_connections_at_once_is_not_ready_yet(
        self, lab: Lab, folder: Path, daemon: StartDaemon
    ) -> None:
        write(folder, STATUSES="500", CLOSES_FOR="2")
        with daemon(*PUBLISHED, "--status-kind", "tcp", cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert hanoverd.wait_event("ready", version="web-0")["seconds"] > 1
            write(folder, CLOSES_FOR="1000")
            assert hanoverd_deploy(lab, "--status-timeout", SHORT) == 1
            assert "port 80: accepted the connection and closed it at once" in failure(hanoverd, "web-1")

    def test_a_server_that_speaks_first_is_ready(self, folder: Path, daemon: StartDaemon) -> None:
        write(folder, GREETS="1")
        with daemon(*PUBLISHED, "--status-kind", "tcp", cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")

    def test_a_port_that_the_engine_s_proxy_accepts_for_is_not_ready(
        self, lab: Lab, folder: Path, daemon: StartDaemon
    ) -> None:
        # Docker's userland proxy listens from the start of the container; the app does not, on port 80.
        write(folder, PORT="81")
        with daemon(*PUBLISHED, "--status-kind", "tcp", "--status-timeout", SHORT, cwd=folder) as hanoverd:
            assert re.search("port 80: .*refused", failure(hanoverd, "web-0"))


class TestDocker:
    """The container's own health check."""

    CHECK = 'HEALTHCHECK --interval=200ms --retries=1 --start-period=120s CMD ["sh", "-c", "busybox cat /data/well"]'
    DOCKER = ("--status-kind", "docker")

    def test_the_healthcheck_of_the_image_decides(
        self, lab: Lab, folder: Path, daemon: StartDaemon, tmp_path: Path
    ) -> None:
        write(folder, self.CHECK, STATUSES="503")
        data = tmp_path / "data"
        data.mkdir()
        with daemon(*PUBLISHED, *self.DOCKER, "-v", f"{data}:/data", cwd=folder) as hanoverd:
            hanoverd.wait_event("started", version="web-0")
            eventually(lambda: "No such file" in lab.docker("GET", "/containers/web-0/json")[1].decode())
            assert not hanoverd.events("ready")
            (data / "well").write_text("well\n")
            hanoverd.wait_live("web-0")
            # Without a start period it is unhealthy at once, and that is not waited for.
            (data / "well").unlink()
            write(folder, self.CHECK.replace("--start-period=120s ", ""))
            hanoverd.hup()
            assert "not ready: its HEALTHCHECK failed: " in failure(hanoverd, "web-1")
            assert names(lab.containers("web")) == ["web-0"]

    def test_health_cmd_decides_where_the_image_has_no_check(self, folder: Path, daemon: StartDaemon) -> None:
        check = ("--health-cmd", "busybox test -e /app.py", "--health-interval", "200ms")
        with daemon("--name", "web", *self.DOCKER, *check, cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")

    def test_without_a_check_a_version_fails_before_it_is_started(
        self, lab: Lab, folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon(*PUBLISHED, *self.DOCKER, cwd=folder) as hanoverd:
            error = failure(hanoverd, "web-0")
            assert "add a HEALTHCHECK to the image, set --health-cmd, or choose another --status-kind" in error
            assert not hanoverd.events("started")

    def test_a_version_that_exits_fails_with_its_exit_code(self, folder: Path, daemon: StartDaemon) -> None:
        write(folder, 'HEALTHCHECK --interval=1h CMD ["busybox", "true"]')
        command = ("@", "sh", "-c", "busybox sleep 1; echo bye; exit 3")
        with daemon(*PUBLISHED, *self.DOCKER, *command, cwd=folder) as hanoverd:
            assert "exited with code 3 before it was ready; its last line:\n    bye" in failure(hanoverd, "web-0")

    def test_a_hanoverd_that_takes_over_looks_at_the_check(self, lab: Lab, folder: Path, daemon: StartDaemon) -> None:
        write(folder, 'HEALTHCHECK --interval=200ms CMD ["busybox", "true"]', STATUSES="503")
        arguments = (*PUBLISHED, *self.DOCKER, "--on-exit", "keep")
        with daemon(*arguments, cwd=folder) as hanoverd:
            hanoverd.wait_live("web-0")
        with daemon(*arguments[:-2], cwd=folder) as hanoverd:
            hanoverd.wait_event("adopted", version="web-0")
            hanoverd.wait_live("web-1")


class TestNone:
    """No check."""

    def test_a_worker_without_ports_is_live_when_it_keeps_running(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        write_app(app_folder, expose=(), env={"READY_AFTER": "1000"})
        with daemon("--name", "web", "--status-kind", "none", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert 1 <= hanoverd.wait_event("ready", version="web-0")["seconds"] < 10
            # A program that exits at once, also on a busy machine.
            (app_folder / "Dockerfile").write_text(f'FROM {BASE}\nCMD ["busybox", "false"]\n')
            hanoverd.hup()
            assert "exited with code 1 before it was ready" in failure(hanoverd, "web-1")
            assert names(lab.containers("web")) == ["web-0"]

    def test_a_published_port_is_routed_without_being_asked(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        write_app(app_folder, env={"STATUS": "503"})
        with daemon(*PUBLISHED, "--status-kind", "none", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            # The app may not listen yet.
            eventually(lambda: "error: 503" in answer_or_error(lab))


def answer_or_error(lab: Lab) -> str:
    """Return the answer of the live version, or why there was none."""
    try:
        return ask(lab.in_client, URL.format(lab.host_ip))
    except ConnectionError as error:
        return str(error)


def hanoverd_deploy(lab: Lab, *options: str) -> int:
    """Deploy, and return the exit status when the handover is over."""
    return run_to_end(lab, ["deploy", "web", "--wait", *options], "/")[0]
