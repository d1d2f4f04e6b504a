"""The question to the engine at the start: what it refuses ends the start, and nothing is left of the question."""

from __future__ import annotations

import json
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.integration.asking import eventually, hostname, names
from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import network
from tests.lab.daemon import environment, run_to_end, twistd
from tests.lab.host import Lab

REFUSED = 125


def everything(lab: Lab) -> tuple[Any, ...]:
    """All containers, images, volumes and networks of the engine."""

    def ask(path: str) -> Any:
        status, body = lab.docker("GET", path)
        assert status == 200
        return json.loads(body)

    return (
        sorted(one["Id"] for one in ask("/containers/json?all=1")),
        sorted(one["Id"] for one in ask("/images/json?all=1")),
        sorted(one["Name"] for one in ask("/volumes")["Volumes"] or ()),
        sorted(one["Id"] for one in ask("/networks")),
    )


def rules(lab: Lab) -> list[str]:
    """The rules of the nat table."""
    return [line for line in lab.iptables_save().splitlines() if line.startswith("-A")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--network", "missing"], "network missing not found"),
        (["--network", "present", "--network", "missing"], "network missing not found"),
        (["--network", "container:missing", "--disable-overlap"], "No such container: missing"),
        (["--runtime", "missing"], "missing"),
        (["--device", "/dev/missing"], 'adding custom device "/dev/missing": no such file or directory'),
        (["--log-driver", "missing"], 'plugin "missing" not found'),
        (["--volumes-from", "missing"], "No such container: missing"),
        (["--memory", "1k"], "inimum memory limit allowed is 6MB"),
        (["-v", "new-volume:/data", "--mount", "type=volume,source=other,target=/x", "--cpus", "999"], "ange of CPUs"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_the_engine_refuses_ends_the_start_and_the_live_version_serves_on(
    lab: Lab, app_folder: Path, daemon: StartDaemon, options: list[str], message: str
) -> None:
    line = ["-p", "8080:80", "--name", "asked"]
    with network(lab, "present", "10.77.5.0/24"):
        with daemon(*line, "--on-exit", "keep", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("asked-0")
            assert hanoverd.terminate() == 0
        before = everything(lab), rules(lab)
        code, out, err = run_to_end(lab, [*line, *options], app_folder)
        assert (code, out) == (REFUSED, "")
        assert err.startswith("hanoverd: ")
        assert message in err
        assert (everything(lab), rules(lab)) == before
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "asked-0"
        assert run_to_end(lab, ["stop", "asked"], app_folder)[0] == 0


def test_a_start_that_is_not_refused_leaves_only_the_app(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    line = ("-p", "8080:80", "--name", "plain", "-v", "plain-data:/data", "--mount", "type=volume,target=/anonymous")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("plain-0")
        assert names(lab.containers()) == ["plain-0"]
        assert questions(lab) == []
        assert hanoverd.terminate() == 0
    lab.docker("DELETE", "/volumes/plain-data")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_question_that_is_cut_off(
    lab: Lab, app_folder: Path, daemon: StartDaemon, number: signal.Signals
) -> None:
    before = everything(lab)
    line = ("--name", "cut", "--publish", "8080:80")
    with held_at_create(lab) as held:
        command = lab.in_host(twistd(*line))
        env = {**environment(lab), "DOCKER_HOST": f"unix://{held.server_address}"}
        with subprocess.Popen(command, cwd=app_folder, env=env, stdin=subprocess.DEVNULL) as process:
            try:
                assert held.asked.wait(30)
                assert questions(lab) != []
                process.send_signal(number)
                if number is signal.SIGKILL:
                    process.wait(30)
            finally:
                # The engine answers even where nobody waits for the answer.
                held.go_on.set()
            assert process.wait(30) != 0
        if number is signal.SIGKILL:
            eventually(lambda: everything(lab)[0] != before[0])
    if number is signal.SIGKILL:
        with daemon(*line, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("cut-0")
            assert names(lab.containers()) == ["cut-0"]
            assert questions(lab) == []
            assert hanoverd.terminate() == 0
    else:
        assert everything(lab) == before


class HeldAtCreate(socketserver.ThreadingUnixStreamServer):
    """Passes requests on to the engine; one that creates a container waits for ``go_on``, and sets ``asked``."""

    daemon_threads = True

    def __init__(self, path: Path, engine: str) -> None:
        self.engine = engine
        self.asked, self.go_on = threading.Event(), threading.Event()
        super().__init__(str(path), _PassOn)


class _PassOn(socketserver.BaseRequestHandler):
    server: HeldAtCreate

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.engine)
            back = threading.Thread(target=self._copy, args=(engine, self.request))
            back.start()
            self._copy(self.request, engine)
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if b"/containers/create" in data and source is self.request:
                    self.server.asked.set()
                    self.server.go_on.wait(60)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@contextmanager
def held_at_create(lab: Lab) -> Iterator[HeldAtCreate]:
    """Such an engine."""
    with (
        TemporaryDirectory(prefix="hanoverd-engine-") as folder,
        HeldAtCreate(Path(folder, "engine.sock"), lab.engine.socket) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.go_on.set()
            server.shutdown()
            thread.join()


def questions(lab: Lab) -> list[str]:
    """The images that questions have left."""
    status, body = lab.docker("GET", '/images/json?filters={"label":["hanoverd.question"]}'.replace('"', "%22"))
    assert status == 200
    return [one["Id"] for one in json.loads(body)]
