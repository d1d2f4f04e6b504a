"""The commands for a running hanoverd: status, history, logs, deploy, cancel, rollback, pause and resume."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.asking import ask, eventually, eventually_equal, hostname, names
from tests.integration.conftest import StartDaemon
from tests.lab.clients import Clients
from tests.lab.daemon import environment, run_to_end, twistd
from tests.lab.events import contains
from tests.lab.host import Lab
from tests.lab.images import write_app

URL = "http://{}:8080/"
ARGUMENTS = ("-p", "8080:80", "--name", "web")

OTHER_USER = ("setpriv", "--reuid=4321", "--regid=4321", "--clear-groups")


class Commands:
    """``hanoverd COMMAND`` on the lab's host."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def start(self, *arguments: str, as_user: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            self._lab.in_host([*as_user, *twistd(*arguments)]),
            env=environment(self._lab),
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self, *arguments: str, as_user: Sequence[str] = ()) -> tuple[int, str, str]:
        """Run a command; return its exit status, standard output and standard error."""
        running = self.start(*arguments, as_user=as_user)
        out, err = running.communicate(timeout=60)
        return running.returncode, out, err

    def __call__(self, *arguments: str) -> str:
        """Run a command that must succeed; return its output."""
        code, out, err = self.end(*arguments)
        assert (code, err) == (0, ""), (arguments, code, out, err)
        return out

    def status(self) -> Any:
        """Return the status of the app."""
        return json.loads(self("status", "web", "--json"))

    def history(self) -> list[Any]:
        """Return the handovers so far."""
        return [json.loads(line) for line in self("history", "web", "--format", "json").splitlines()]


@pytest.fixture
def commands(lab: Lab) -> Commands:
    """The commands on the lab's host."""
    return Commands(lab)


def alive(lab: Lab) -> str:
    """Return the version that answers the client host."""
    return hostname(lab.in_client, URL.format(lab.host_ip))


def words(lab: Lab, path: str = "") -> str:
    """Return the answer of the live version."""
    return ask(lab.in_client, URL.format(lab.host_ip) + path)


def lossless(clients: Clients) -> None:
    """Assert that all requests were answered."""
    counted = clients.finish()
    assert (counted["failed"], counted["cut"], counted["errors"]) == (0, 0, []), counted
    assert counted["ok"] > 20


def load(lab: Lab) -> Clients:
    """Send short requests from the client host."""
    return Clients(lab.in_client, lab.host_ip, "8080", "--workers", "2", "--pause", "0.01")


class TestQueries:
    """list, status, history, logs."""

    def test_apps_are_listed_as_docker_lists(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        assert commands("list").split() == ["APP", "VERSION", "IMAGE", "IMAGE", "ID", "STATUS", "PORTS", "PID"]
        assert commands("list", "--format", "json") == commands("list", "-q") == ""
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd, daemon("--name", "api", cwd=app_folder) as other:
            hanoverd.wait_live("web-0")
            other.wait_live("api-0")
            assert commands("list", "-q") == "api\nweb\n"
            _, api, web = commands("list").splitlines()
            assert api.split()[:3] == ["api", "api-0", "hanoverd/api:latest"]
            assert "Live for " in web
            assert f"0.0.0.0:8080->80/tcp, [::]:8080->80/tcp   {hanoverd.pid}" in web
            [first, second] = [json.loads(line) for line in commands("list", "--format=json").splitlines()]
            assert (first["app"], second["live"]["version"]) == ("api", "web-0")
            # A daemon that was killed leaves its socket, which is removed, and its app, which is listed.
            other.kill()
            assert (lab.runtime / "api.sock").exists()
            assert commands("list", "-q") == "api\nweb\n"
            assert "No daemon" in commands("list").splitlines()[1]
            assert not (lab.runtime / "api.sock").exists()
        with daemon("--name", "api", cwd=app_folder) as other:
            other.wait_event("adopted", version="api-0")
            other.wait_live("api-1")
            assert commands("list", "-q") == "api\n"
        assert list(lab.runtime.iterdir()) == []

    def test_status_shows_the_live_version_and_the_handover_in_progress(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, "-e", "PASSWORD=hunter2", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            status = commands.status()
            assert (status["state"], status["live"]["version"], status["pid"]) == ("live", "web-0", hanoverd.pid)
            assert status["ports"][0]["host_port"] == 8080
            assert status["live"]["since"] == pytest.approx(time.time(), abs=60)
            write_app(app_folder, env={"MUTE": "1"})
            hanoverd.hup()
            hanoverd.wait_event("started", version="web-1")
            status = commands.status()
            assert (status["state"], status["live"]["version"]) == ("handing over", "web-0")
            assert [phase["phase"] for phase in status["handover"]["phases"]] == ["obtained", "created", "started"]
            text = commands("status", "web")
            assert text.startswith("web\n  state:     Live for ")
            assert ", handing over to web-1" in text
            assert "SIGHUP" in text
            shown = Path(f"/proc/{hanoverd.pid}/cmdline").read_text()
            assert "--env=PASSWORD=***" in shown
            [label] = [one["Labels"] for one in lab.containers("web") if one["Names"] == ["/web-0"]]
            shown_texts = [
                text,
                json.dumps([status, commands.history(), label]),
                commands("logs", "web"),
                hanoverd.log(),
                shown,
            ]
            assert "hunter2" not in "".join(shown_texts)
            assert "PASSWORD=hunter2" in json.loads(lab.docker("GET", "/containers/web-0/json")[1])["Config"]["Env"]

    def test_status_with_watch_shows_each_change(
        self, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            watching = commands.start("status", "web", "--json", "-w")
            assert watching.stdout
            assert json.loads(watching.stdout.readline())["live"]["version"] == "web-0"
            hanoverd.hup()
            while json.loads(watching.stdout.readline())["live"]["version"] != "web-1":
                pass
            watching.send_signal(signal.SIGINT)
            _, err = watching.communicate(timeout=60)
            assert (watching.returncode, err) == (130, "")

    def test_history_shows_the_trigger_and_the_outcome_of_each_handover(
        self, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, env={"EXIT": "3"})
            hanoverd.hup()
            hanoverd.wait_event("waiting")
            first, second = commands.history()
            assert (first["trigger"], first["outcome"], first["version"]) == ("start", "live", "web-0")
            assert [phase["phase"] for phase in first["phases"]] == [
                *("obtained", "created", "started", "ready", "routed")
            ]
            assert sum(phase["seconds"] for phase in first["phases"]) == pytest.approx(first["took"], abs=0.3)
            assert first["began"] == pytest.approx(time.time(), abs=60)
            assert (second["trigger"], second["outcome"], second["old"]) == ("SIGHUP", "failed", "web-0")
            assert "exited with code 3 before it was ready" in second["why"]
            titles, newest, oldest = commands("history", "web").splitlines()
            assert titles.split() == ["VERSION", "IMAGE", "TRIGGER", "STARTED", "TOOK", "OUTCOME", "REASON"]
            assert newest.split()[:3] == ["web-1", "hanoverd/web:latest", "SIGHUP"]
            assert " live " in oldest
            whole = commands("history", "web", "--no-trunc").splitlines()
            assert "cannot continue: exiting with 3" in whole[1]
            assert whole[0].split()[-4:] == ["CHANGED", "PHASES", "CONNECTIONS", "REASON"]
            assert ", created in " in whole[2]

    def test_logs_follow_a_handover(self, app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert "web-0" in commands("logs", "web")
            assert len(commands("logs", "web", "-n", "2").splitlines()) == 2
            following = commands.start("logs", "web", "-f", "--tail", "1")
            assert following.stdout
            # It follows as soon as it prints the last line so far.
            assert "web-0" in following.stdout.readline()
            hanoverd.hup()
            assert "SIGHUP" in following.stdout.readline()
            hanoverd.wait_gone("web-0")
            assert hanoverd.terminate() == 0
            # The command ends when hanoverd stops.
            out, _ = following.communicate(timeout=60)
            assert following.returncode == 0
            assert out.index("web-1") < out.rindex("web-0")


class TestCommands:
    """deploy, cancel, rollback, pause, resume."""

    def test_deploy_with_wait_follows_the_handover_and_reports_its_outcome(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            clients = load(lab)
            code, out, err = commands.end("deploy", "web", "--wait")
            assert (code, err) == (0, "")
            assert "web-1: created in" in out
            assert "web: web-1 (hanoverd/web:latest) is live after" in out.splitlines()[-1]
            lossless(clients)
            write_app(app_folder, env={"EXIT": "3"})
            code, out, err = commands.end("deploy", "--wait", "web")
            assert code == 1
            assert "web: the handover to web-2 failed after" in err
            assert "exited with code 3 before it was ready" in err
            assert alive(lab) == "web-1"
            assert "web: a handover starts" in commands("deploy", "web")
            eventually_equal(lambda: len(commands.history()), 4)

    def test_deploy_of_an_image_applies_once(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            lab.docker("POST", "/images/hanoverd%2Fweb:latest/tag?repo=other&tag=v1")
            write_app(app_folder, version="2")
            assert "web-1 (other:v1) is live" in commands("deploy", "web", "--image", "other:v1", "--wait")
            assert hanoverd.events("obtained", version="web-1", image="other:v1")
            assert commands.history()[-1]["trigger"] == "hanoverd deploy (other:v1)"
            assert commands.end("deploy", "web", "--image", "Other")[0] == 125
            code, _, err = commands.end("deploy", "web", "--image", "127.0.0.1:1/nothing", "--wait")
            assert code == 1
            assert "cannot pull 127.0.0.1:1/nothing:latest" in err
            hanoverd.hup()
            hanoverd.wait_live("web-3")
            assert commands.status()["live"]["image"] == "hanoverd/web:latest"
            lab.docker("DELETE", "/images/other:v1")

    def test_deploy_with_a_status_timeout_applies_once(
        self, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, "--status-timeout", "30s", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, env={"UNREADY_FOR": "3"})
            code, _, err = commands.end("deploy", "web", "--status-timeout", "500ms", "--wait")
            assert code == 1
            assert "not ready within the status timeout of 500ms" in err
            assert "hanoverd deploy (status timeout 500ms)" in commands("status", "web")
            assert "web-2 (hanoverd/web:latest) is live" in commands("deploy", "web", "--wait")
            assert [record["trigger"] for record in commands.history()] == [
                "start",
                "hanoverd deploy (status timeout 500ms)",
                "hanoverd deploy",
            ]

    def test_a_newer_deploy_ends_the_wait_of_an_older_one(
        self, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, env={"MUTE": "1"})
            older = commands.start("deploy", "web", "--wait")
            hanoverd.wait_event("started", version="web-1")
            write_app(app_folder)
            assert "is live" in commands("deploy", "web", "--wait")
            _, err = older.communicate(timeout=60)
            assert older.returncode == 1
            assert "web: the handover to web-1 was cancelled after" in err
            assert "a newer" in err

    def test_a_postponed_deploy_is_followed_to_its_end(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            with (app_folder / "Dockerfile").open("a") as dockerfile:
                dockerfile.write('RUN ["busybox", "sleep", "10"]\n')
            deploying = commands.start("deploy", "web", "--wait")
            hanoverd.wait_event("obtaining", version="web-1")
            lab.docker("POST", "/containers/web-0/kill")
            hanoverd.wait_event("live", after=hanoverd.wait_event("exited", successor=None))
            out, err = deploying.communicate(timeout=60)
            assert (deploying.returncode, err) == (0, "")
            assert out.splitlines()[-1].startswith("web: web-")
            assert sorted((one["id"], one["outcome"]) for one in commands.history()) == [
                *((1, "live"), (2, "live"), (3, "live"))
            ]

    def test_ctrl_c_stops_the_wait_but_not_the_handover(
        self, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, env={"READY_AFTER": "4"})
            waiting = commands.start("deploy", "web", "--wait")
            hanoverd.wait_event("started", version="web-1")
            waiting.send_signal(signal.SIGINT)
            _, err = waiting.communicate(timeout=60)
            assert waiting.returncode == 130
            assert err == (
                "web: the handover continues in hanoverd: `hanoverd status web` shows it, `hanoverd cancel web` cancels it\n"
            )
            hanoverd.wait_live("web-1")

    def test_cancel_stops_a_handover(self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert commands.end("cancel", "web") == (1, "", "hanoverd: web: there is no handover to cancel\n")
            write_app(app_folder, env={"MUTE": "1"})
            hanoverd.hup()
            hanoverd.wait_event("started", version="web-1")
            assert "web: the handover to web-1 was cancelled after" in commands("cancel", "web")
            hanoverd.wait_event("cancelled", reason=contains("hanoverd cancel"))
            assert names(lab.containers("web")) == ["web-0"]
            assert commands.status()["state"] == "live"
            assert alive(lab) == "web-0"

    def test_while_paused_triggers_are_held_and_commands_are_executed(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert "web: resumed: no trigger was held" in commands("resume", "web")
            assert "paused: triggers are held" in commands("pause", "web")
            for _ in range(3):
                hanoverd.hup()
            hanoverd.wait_event("held", reason="SIGHUP")
            assert "web-1 (hanoverd/web:latest) is live" in commands("deploy", "web", "--wait")
            # A dead version is restarted, even while hanoverd is paused.
            lab.docker("POST", "/containers/web-1/kill")
            hanoverd.wait_live("web-2")
            status = commands.status()
            assert (status["paused"], set(status["held"])) == (True, {"SIGHUP"})
            assert "(paused)" in commands("status", "web")
            assert len(commands.history()) == 3
            assert 'resumed: a handover starts, for "SIGHUP"' in commands("resume", "web")
            hanoverd.wait_live("web-3")
            assert not commands.status()["paused"]


class TestAccess:
    """Who may use the control socket, and which requests it accepts."""

    def test_only_the_same_user_and_root_may_connect(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            path = lab.runtime / "web.sock"
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            code, out, err = commands.end("status", "web", as_user=OTHER_USER)
            assert (code, out) == (1, "")
            assert (
                "the hanoverd that serves web belongs to another user: run this command as that user or as root" in err
            )
            # Even if the mode of the file allows it.
            path.chmod(0o666)
            code, out, err = commands.end("pause", "web", as_user=OTHER_USER)
            assert (code, out) == (1, "")
            assert "web: this hanoverd belongs to another user" in err
            assert not commands.status()["paused"]

    def test_secrets_are_shown_nowhere(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        secret = (
            *("-e", "PASSWORD=hunter2", "--build-arg", "TOKEN=hunter2", "--notify", "http://127.0.0.1:1/hunter2"),
            *("--hook", "live=env; true hunter2", "--hook", "failed=env; true hunter2"),
        )
        with daemon(*ARGUMENTS, *secret, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            hanoverd.wait_event("hook_output", line="HANOVERD_EVENT=live")
            shown = Path(f"/proc/{hanoverd.pid}/cmdline").read_text().split("\0")
            for argument in ("--env=PASSWORD=***", "--build-arg=TOKEN=***", "--notify=***", "--hook=live=***"):
                assert argument in shown
            # Only root and the same user can read this.
            assert "hunter2" in Path(f"/proc/{hanoverd.pid}/environ").read_text()
            assert commands.end("rollback", "web", "99", "--wait")[0] == 1
            hanoverd.wait_event("hook_output", line="HANOVERD_EVENT=failed")
            [label] = [one["Labels"] for one in lab.containers("web")]
            texts = [
                *(commands(verb, "web") for verb in ("status", "versions", "history", "logs")),
                json.dumps([commands.status(), commands.history(), label]),
                commands("logs", "web", "--json"),
                hanoverd.log(),
                *shown,
            ]
            assert "hunter2" not in "".join(texts)
            # Nor do the commands of hooks get the real arguments.
            assert "HANOVERD_ARGUMENTS" not in hanoverd.log()

    def test_another_user_cannot_answer_in_the_name_of_an_app(self, lab: Lab, commands: Commands) -> None:
        with strangers(lab, ANSWER, str(lab.runtime / "web.sock")):
            for command in (("deploy", "web"), ("deploy", "web", "--wait"), ("logs", "web"), ("pause", "web")):
                code, out, err = commands.end(*command)
                assert (code, out) == (1, "")
                assert "web: its control socket is not used, because another user could answer in its name: " in err
                assert "belongs to uid 4321" in err
            # The engine and the rules say what this app is.
            code, out, err = commands.end("status", "web")
            assert (code, out) == (1, "")
            assert "there is no app web" in err
            code, out, err = commands.end("list", "-q")
            assert (code, out) == (0, "")
            assert "its control socket is not used" in err

    def test_another_user_cannot_keep_hanoverd_from_starting(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with strangers(lab, HOLD, "hanoverd/app/web"), daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            assert hanoverd.events("name_held", app="web", reason=contains("uid 4321"))
            assert commands("list", "-q") == "web\n"
            code, _, err = run_to_end(lab, ARGUMENTS, app_folder)
            assert code == 1
            assert "a hanoverd that serves an app named web is running already" in err

    def test_the_same_app_of_a_user_of_the_engine_is_noticed(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, capable: dict[str, str]
    ) -> None:
        os.chmod(lab.engine.socket, 0o666)
        (lab.folder / "other").mkdir(mode=0o755)
        try:
            with daemon(*ARGUMENTS, cwd=app_folder, env=capable, as_user=OTHER_USER) as hanoverd:
                hanoverd.wait_live("web-0")
                env = {"HANOVERD_RUNTIME_DIR": str(lab.folder / "other")}
                code, _, err = run_to_end(lab, ("--name", "web"), app_folder, env)
                assert code == 1
                assert "an app named web is running already as another user (uid 4321)" in err
        finally:
            os.chmod(lab.engine.socket, 0o660)

    def test_an_unknown_app_is_reported(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        code, out, err = commands.end("status", "missing")
        assert (code, out) == (1, "")
        assert "there is no app missing: no hanoverd serves it, and it has no containers" in err
        assert "no hanoverd serves missing (none is running; " in commands.end("deploy", "missing")[2]
        with daemon(*ARGUMENTS, cwd=app_folder):
            eventually(lambda: "(running: web; " in commands.end("deploy", "missing")[2])
        assert list(lab.runtime.iterdir()) == []

    def test_invalid_requests_are_refused_and_change_nothing(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            for request, status in (
                (b"GET /nothing", b"404"),
                (b"DELETE /status", b"405"),
                (b"GET /handovers/x", b"404"),
                (b"GET /logs?tail=x", b"400"),
            ):
                assert raw(lab, request + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").split()[1] == status
            for body in (b"[", b"[]", b'{"image": "A B"}', b"[" * 60000):
                head = b"POST /deploy HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(
                    body
                )
                assert raw(lab, head + body).split()[1] == b"400"
            assert raw(lab, b"\x16\x03\x01 what\r\n\r\n").split()[1:2] == [b"400"]
            assert len(commands.history()) == 1
            assert alive(lab) == "web-0"


#: Listens on a socket, and claims that everything worked.
ANSWER = """
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
server.listen()
print("ready", flush=True)
while True:
    peer, _ = server.accept()
    with peer:
        if peer.recv(65536):
            print("asked", flush=True)
            body = b'{"handover": 1, "line": "\\\\u001b[2Jweb: web-9 is live", "paused": true}\\n'
            peer.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body)
"""

#: Holds an abstract name.
HOLD = """
import socket, sys
held = socket.socket(socket.AF_UNIX)
held.bind("\\0" + sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def strangers(lab: Lab, program: str, *arguments: str) -> Iterator[None]:
    """A program of a user who may not use the engine, on the lab's host; it must not be asked anything."""
    with subprocess.Popen(
        lab.in_host([*OTHER_USER, "/usr/bin/python3", "-c", program, *arguments]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.kill()
            assert process.stdout.read() == ""


def raw(lab: Lab, request: bytes) -> bytes:
    """Return the answer of the control socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(lab.runtime / "web.sock"))
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


class TestRollback:
    """Versions that are kept for a rollback."""

    def test_a_rollback_costs_no_request(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        write_app(app_folder, version="one")
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            code, _, err = commands.end("rollback", "web", "--wait")
            assert code == 1
            assert "cannot roll back: no version before web-0 is kept. Kept versions: none" in err
            write_app(app_folder, version="two")
            hanoverd.hup()
            hanoverd.wait_live("web-2")
            first = commands.history()[0]["image_id"]
            [kept] = eventually(lambda: commands.status()["kept"])
            assert (kept["version"], kept["image_id"]) == ("web-0", first)
            eventually_equal(lab.kept, ["web-0-kept"])
            clients = load(lab)
            assert "web-3 (hanoverd/web:latest), a rollback to web-0, is live" in commands("rollback", "web", "--wait")
            eventually_equal(lambda: [one["version"] for one in commands.status()["kept"]], ["web-2"])
            lossless(clients)
            assert commands.status()["live"]["image_id"] == first
            # And back to the newer one, by its number or by its name.
            assert "web-4 (hanoverd/web:latest), a rollback to web-2, is live" in commands(
                "rollback", "web", "web-2", "--wait"
            )
            # Immediately: the version that was replaced still drains.
            code, _, err = commands.end("rollback", "web", "77", "--wait")
            assert code == 1
            assert "cannot roll back: version web-77 is not kept. Kept versions: web-3" in err
        assert lab.kept() == []

    def test_each_rollback_goes_further_back_also_in_the_next_hanoverd(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        def deploy(version: str) -> None:
            write_app(app_folder, version=version)
            commands("deploy", "web", "--wait")

        write_app(app_folder, version="A")
        with daemon(*ARGUMENTS, "--on-exit", "keep", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            deploy("B")
            deploy("C")
            commands("rollback", "web", "--wait")
            assert words(lab).split()[1] == "B"
            assert commands.history()[-1]["rollback_to"] == "web-1"
            _, live, *others = commands("versions", "web").splitlines()
            assert live.split()[:3] == ["web-3", "live", "hanoverd/web:latest"]
            assert f"rollback to web-1, build {app_folder}" in live
            assert others[0].split()[0] == "web-2"
            assert "web-3, hanoverd/web:latest (" in commands("status", "web")
            commands("pause", "web")
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_event("adopted", version="web-3")
            commands("rollback", "web", "--wait")
            assert words(lab).split()[1] == "A"
            assert commands.end("rollback", "web", "--wait")[0] == 1
            commands("rollback", "web", "web-2", "--wait")
            assert words(lab).split()[1] == "C"
            deploy("D")
            for expected in ("C", "B"):
                commands("rollback", "web", "--wait")
                assert words(lab).split()[1] == expected

    def test_a_rollback_uses_the_settings_of_its_version_across_a_restart(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, tmp_path: Path
    ) -> None:
        (tmp_path / "data").mkdir()
        old = ("-e", "MODE=old", "-v", f"{tmp_path}/data:/data", "--stop-signal", "SIGINT")
        with daemon(*ARGUMENTS, "--on-exit", "keep", *old, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            before = json.loads(lab.docker("GET", "/containers/web-0/json")[1])
        # The same image with other settings.
        with daemon(*ARGUMENTS, "--on-exit", "keep", "-e", "MODE=new", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-1")
            eventually_equal(lab.kept, ["web-0-kept"])
        with daemon(*ARGUMENTS, "-e", "MODE=newer", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-2")
            eventually_equal(lab.kept, ["web-0-kept", "web-1-kept"])
            assert commands.end("rollback", "web", "1", "--wait")[0] == 0
            after = json.loads(lab.docker("GET", "/containers/web-3/json")[1])
            assert "MODE=new" in after["Config"]["Env"]
            # A dead version is restarted with the settings that it had.
            lab.docker("POST", "/containers/web-3/kill")
            hanoverd.wait_live("web-4")
            assert "MODE=new" in json.loads(lab.docker("GET", "/containers/web-4/json")[1])["Config"]["Env"]
        assert before["HostConfig"]["Binds"] == [f"{tmp_path}/data:/data"]

    def test_unused_images_are_removed_unless_they_have_another_name(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        there = lab.image_ids()
        with daemon(*ARGUMENTS, "--keep-versions", "1", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            made = []
            for number in range(1, 5):
                made.append(commands.status()["live"]["image_id"])
                if number == 2:
                    lab.docker("POST", f"/images/{made[-1]}/tag?repo=mine&tag=v1")
                write_app(app_folder, version=f"new {number}", env={"EXIT": "1"} if number == 3 else {})
                hanoverd.hup()
                hanoverd.wait_event("failed" if number == 3 else "live", version=f"web-{number}")
                eventually(lambda: commands.status()["state"] != "handing over")
            live = commands.status()["live"]["image_id"]
            # Generations 0, 1 and 2 were live, 3 has failed, 4 is live.
            eventually_equal(lab.kept, ["web-2-kept"])
            eventually_equal(lambda: lab.image_ids() - there, {made[1], made[2], live})
            hanoverd.wait_event("image_removed", image="hanoverd/web:latest")
        lab.docker("DELETE", "/images/mine:v1")

    def test_keep_versions_0_keeps_nothing(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        there = lab.image_ids()
        write_app(app_folder, version="first")
        with daemon(*ARGUMENTS, "--keep-versions", "0", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, version="second")
            hanoverd.hup()
            hanoverd.wait_gone("web-0")
            eventually_equal(lambda: lab.image_ids() - there, {commands.status()["live"]["image_id"]})
            assert [one["Names"] for one in lab.containers()] == [["/web-1"]]

    def test_numbers_continue_after_a_stop(self, app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, env={"EXIT": "1"})
            assert commands.end("deploy", "web", "--wait")[0] == 1
        write_app(app_folder)
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-2")
            assert [one["version"] for one in commands.history()] == ["web-0", "web-1", "web-2"]

    def test_kept_versions_survive_a_kill(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
    ) -> None:
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            write_app(app_folder, version="2")
            hanoverd.hup()
            hanoverd.wait_gone("web-0")
            hanoverd.kill()
        with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-2")
            eventually_equal(lab.kept, ["web-0-kept"])
            assert "is live" in commands("rollback", "web", "0", "--wait")


def test_the_socket_of_an_ordinary_user_belongs_to_that_user(
    lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, capable: dict[str, str]
) -> None:
    group = str(os.stat(lab.engine.socket).st_gid)
    user = ("setpriv", "--reuid=4321", "--regid=4321", f"--groups={group}")
    os.chmod(lab.engine.socket, 0o666)
    with daemon(*ARGUMENTS, cwd=app_folder, env=capable, as_user=user) as hanoverd:
        hanoverd.wait_live("web-0")
        assert (lab.runtime / "web.sock").stat().st_uid == 4321
        assert commands("list", "-q") == "web\n"
        assert commands.end("list", "-q", as_user=user)[1] == "web\n"
    os.chmod(lab.engine.socket, 0o660)
