"""The commands for running daemons: their arguments, the daemons that they find, and their output."""

from __future__ import annotations

import copy
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hanoverd.cli.client.tables import history_row, list_row, outcome, status_text, table, version_row
from hanoverd.cli.parse import mistyped, parse
from hanoverd.daemons.connection import daemon_of, running_daemons
from hanoverd.network.name_lock import lock_name
from hanoverd.runtime.errors import ControlError, UsageError
from hanoverd.runtime.sockets import runtime_folder, searched_folders
from hanoverd.spec.app import AppSpec
from hanoverd.spec.programs import RemoteCommand
from hanoverd.text.moments import Moment


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("list", RemoteCommand("list", "")),
        ("list -q", RemoteCommand("list", "", quiet=True)),
        ("list --format json --no-trunc", RemoteCommand("list", "", json=True, trunc=False)),
        ("status web --json --watch", RemoteCommand("status", "web", json=True, watch=True)),
        ("status -w web", RemoteCommand("status", "web", watch=True)),
        ("deploy web --image team/web:2 --wait", RemoteCommand("deploy", "web", image="team/web:2", wait=True)),
        ("deploy web --status-timeout 1m30s", RemoteCommand("deploy", "web", status_timeout=90.0)),
        ("cancel web", RemoteCommand("cancel", "web")),
        ("rollback web", RemoteCommand("rollback", "web")),
        ("rollback web 12", RemoteCommand("rollback", "web", version=12)),
        ("rollback --wait web my-web-12", RemoteCommand("rollback", "web", version=12, wait=True)),
        ("versions web --no-trunc", RemoteCommand("versions", "web", trunc=False)),
        ("stop web", RemoteCommand("stop", "web")),
        ("pause web", RemoteCommand("pause", "web")),
        ("resume web", RemoteCommand("resume", "web")),
        ("logs web -f -n 5", RemoteCommand("logs", "web", follow=True, tail=5)),
        ("logs -fn0 web", RemoteCommand("logs", "web", follow=True, tail=0)),
        ("logs web --app", RemoteCommand("logs", "web", source="app")),
        ("logs web --daemon --since 10m", RemoteCommand("logs", "web", source="daemon", since=Moment(ago=600.0))),
        ("logs -t --json web", RemoteCommand("logs", "web", timestamps=True, json=True)),
        ("events web", RemoteCommand("events", "web")),
        ("events web --since 10m --output", RemoteCommand("events", "web", since=Moment(ago=600.0), output=True)),
        (
            "events --since 3f9a1c20-17-240 --format json web",
            RemoteCommand("events", "web", since_id="3f9a1c20-17-240", json=True),
        ),
        ("history -- web", RemoteCommand("history", "web", limit=100)),
        ("history web --limit 5 --since 24h", RemoteCommand("history", "web", limit=5, since=Moment(ago=86400.0))),
        (
            "history web --since 2026-11-28T00:00:00Z",
            RemoteCommand("history", "web", limit=100, since=Moment(1795824000.0)),
        ),
    ],
)
def test_how_they_are_written(line: str, meaning: RemoteCommand) -> None:
    assert parse(line.split(), {}, "/") == meaning


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("list web", 'list does not take "web": write hanoverd list'),
        ("status", "status needs the name of an app (`hanoverd list` shows them)"),
        ("status a b", 'status does not take "b"'),
        ("status --watch=1m web", "invalid argument"),
        ("deploy web --image A", "must be lowercase (in --image"),
        ("deploy web --status-timeout 0", "--status-timeout must be more than 0"),
        ("rollback web x", '"x" is no version: write its name or number'),
        ("logs web --tail few", "it must be a number, or all"),
        ("events web --since 3f9a1c20-17", "it must be the ID of an event, such as 3f9a1c20-17-240"),
        ("events web --since=-1m", "is no time"),
        ("events web --since soon", "invalid argument"),
        ("events web --format table", "it must be text or json"),
        ("list --format yaml", "it must be table or json"),
        ("pause ../web", "Invalid container name (../web)"),
        ("cancel --wait web", "unknown flag: --wait"),
    ],
)
def test_what_is_wrong(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split(), {}, "/")
    assert reason in str(caught.value)


@pytest.mark.parametrize("line", ["-- list", "list:latest", "library/list", "--name=x list"])
def test_an_image_of_such_a_name_can_be_written(line: str) -> None:
    found = parse(line.split(), {}, "/")
    assert isinstance(found, AppSpec)
    assert found.source.name.scheme == "image"


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("stauts web", "status"),
        ("lst", "list"),
        ("rolback web", "rollback"),
        ("web", None),
        ("lists:1", None),
        ("@", None),
    ],
)
def test_a_command_that_is_mistyped_is_told(line: str, command: str | None) -> None:
    assert mistyped(parse(line.split(), {}, "/srv/web")) == command


def test_where_sockets_are() -> None:
    assert str(runtime_folder({}, 0)) == "/run/hanoverd"
    assert str(runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}, 0)) == "/run/hanoverd"
    assert str(runtime_folder({"XDG_RUNTIME_DIR": "/run/user/7"}, 7)) == "/run/user/7/hanoverd"
    # Never in /tmp, where another user could create it first.
    assert str(runtime_folder({"HOME": "/home/me"}, 7)) == "/home/me/.local/state/hanoverd/run"
    assert str(runtime_folder({"HANOVERD_RUNTIME_DIR": "/x"}, 7)) == "/x"
    assert [str(folder) for folder in searched_folders({"XDG_RUNTIME_DIR": "/r", "XDG_STATE_HOME": "/s"}, 7)] == [
        "/r/hanoverd",
        "/run/hanoverd",
        # As in a cron job, and of an older version.
        "/run/user/7/hanoverd",
        "/s/hanoverd/run",
        "/tmp/hanoverd-7",
    ]
    assert [str(folder) for folder in searched_folders({"HANOVERD_RUNTIME_DIR": "/x"}, 0)] == ["/x"]


def test_an_app_without_a_daemon(tmp_path: Path) -> None:
    environ = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    with pytest.raises(ControlError, match=r"no hanoverd serves web \(none is running; sockets are looked for in /"):
        daemon_of("web", environ, 0)
    with listening(tmp_path / "api.sock"), pytest.raises(ControlError, match=r"no hanoverd serves web \(running: api;"):
        daemon_of("web", environ, 0)


def test_the_socket_of_a_daemon_that_was_killed_is_removed(tmp_path: Path) -> None:
    environ = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    with listening(tmp_path / "api.sock"):
        with listening(tmp_path / "gone.sock"):
            pass
        (tmp_path / "api.paused").touch()
        assert (tmp_path / "gone.sock").exists()
        daemons, problems = running_daemons(environ, 0)
        assert ([daemon.app for daemon in daemons], problems) == (["api"], [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api.paused", "api.sock"]


def test_the_socket_of_a_daemon_that_starts_stays(tmp_path: Path) -> None:
    environ = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    app = f"unit-test-{os.getpid()}"
    with listening(tmp_path / f"{app}.sock"):
        pass
    with closing(lock_name(app, tmp_path, (0,))):
        assert running_daemons(environ, 0) == ([], [])
        assert (tmp_path / f"{app}.sock").exists()
    assert running_daemons(environ, 0) == ([], [])
    assert not (tmp_path / f"{app}.sock").exists()


@contextmanager
def listening(path: Path) -> Iterator[None]:
    """A socket as a daemon has it; at the end, it is left as by a daemon that was killed."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield


RECORD: dict[str, Any] = {
    "id": 2,
    "trigger": "SIGHUP",
    "began": 1000.0,
    "version": "web-1",
    "old": "web-0",
    "rollback_to": "",
    "image": "web:2",
    "image_id": f"sha256:{'ab' * 32}",
    "phases": [{"phase": "obtained", "seconds": 1.25}, {"phase": "created", "seconds": 0.02}],
    "outcome": "failed",
    "why": "web-1 failed:\n  " + "why " * 30,
    "took": 2.5,
}

STATUS: dict[str, Any] = {
    "app": "web",
    "state": "live",
    "live": {
        "version": "web-0",
        "number": 0,
        "state": "live",
        "image": "web:1",
        "image_id": f"sha256:{'cd' * 32}",
        "source": "build example.com/web, branch main",
        "revision": "0123456789abcdef" * 2,
        "rollback_to": "",
        "created": 880.0,
        "address": "172.17.0.2",
        "since": 940.0,
    },
    "ports": [{"host_ip": "0.0.0.0", "host_port": 80, "container_ip": "172.17.0.2", "container_port": 8080}],
    "draining": ["web-9"],
    "handover": RECORD,
    "paused": True,
    "held": ["SIGHUP"],
    "held_count": 1200,
    "kept": [
        {
            "version": "web-7",
            "number": 7,
            "state": "kept",
            "image": "web:0",
            "image_id": "sha256:ef",
            "source": "",
            "revision": f"sha256:{'12' * 32}",
            "rollback_to": "web-3",
            "created": 400.0,
        }
    ],
    "repairs": 2,
    "pid": 77,
    "hanoverd": "1.0",
}


def test_a_table_is_as_wide_as_it_must_be() -> None:
    assert table(["A", "LONG"], [["wide", ""], ["x", "y"]]) == "A      LONG\nwide   -\nx      y"


def test_a_row_of_list() -> None:
    assert list_row(STATUS, 1000.0, trunc=True) == [
        *("web", "web-0", "web:1", "cdcdcdcdcdcd", "Live for 1m (paused)", "0.0.0.0:80->8080/tcp", "77")
    ]
    none = {**STATUS, "live": None, "ports": [], "paused": False, "state": "handing over"}
    assert list_row(none, 1000.0, trunc=False)[1:6] == ["", "", "", "No version is live, handing over to web-1", ""]


def test_a_row_of_history() -> None:
    row = history_row(RECORD, 1060.0, trunc=True)
    assert row[:6] == ["web-1", "web:2", "SIGHUP", "1m ago", "2.5s", "failed"]
    assert row[6].startswith("web-1 failed: why why")
    assert len(row[6]) == 60
    whole = history_row({**RECORD, "took": None}, 1060.0, trunc=False)
    assert whole[4] == ""
    # As an older hanoverd answers.
    assert (whole[6], whole[8]) == ("", "")
    assert whole[7] == "obtained in 1.2s, created in 20ms"
    assert whole[9].endswith("why why")
    rollback = {**RECORD, "trigger": "hanoverd rollback", "rollback_to": "web-0"}
    assert history_row(rollback, 1060.0, trunc=True)[2] == "hanoverd rollback, to web-0"
    detailed = {
        **RECORD,
        "asked_by": [{"user": "alice", "uid": 1000}, {"user": "", "uid": 1001}, {"user": "", "uid": None}],
        "changes": [{"place": "Image"}, {"place": "Env"}, {"place": "Env"}, {"place": "HostConfig.Memory"}],
        "drained": [{"version": "web-0", "finished": 3, "cut": 1}, {"version": "web-1", "finished": None, "cut": None}],
    }
    whole = history_row(detailed, 1060.0, trunc=False)
    assert whole[2] == "SIGHUP, by alice, by uid 1001"
    assert whole[6] == "image, env, memory"
    assert whole[8] == "web-0: 3 finished, 1 cut, web-1: ? finished, ? cut"
    assert history_row({**detailed, "changes": []}, 1060.0, trunc=False)[6] == "nothing"


def test_a_row_of_versions() -> None:
    [kept], live = STATUS["kept"], STATUS["live"]
    assert version_row(kept, 1000.0, trunc=True) == [
        *("web-7", "kept", "web:0", "ef", "10m ago", "rollback to web-3, sha256:121212121212")
    ]
    assert version_row(live, 1000.0, trunc=True)[-1] == "build example.com/web, branch main (0123456789ab)"
    assert version_row(live, 1000.0, trunc=False)[-1].endswith("(0123456789abcdef0123456789abcdef)")


def test_an_app_that_serves_without_a_daemon() -> None:
    status = {**STATUS, "state": "no daemon", "pid": None, "handover": None, "paused": False}
    assert list_row(status, 1000.0, trunc=True)[4:] == ["No daemon", "0.0.0.0:80->8080/tcp", ""]
    lines = status_text(status, 1000.0).splitlines()
    assert lines[1] == "  state:     No daemon"
    assert not [line for line in lines if "process" in line]
    assert list_row({**status, "live": None}, 1000.0, trunc=True)[4] == "No daemon, and no version runs"


def test_the_status_for_people() -> None:
    text = status_text(STATUS, 1000.0)
    for line in (
        "web",
        "  state:     Live for 1m (paused)",
        "  live:      web-0, web:1 (cdcdcdcdcdcd), created 2m ago, build example.com/web, branch main (0123456789ab), "
        "at 172.17.0.2",
        "  port:      0.0.0.0:80->8080/tcp",
        "  draining:  web-9",
        "  handover:  to web-1, started 0s ago: SIGHUP",
        "             obtained in 1.2s, created in 20ms",
        "  held:      SIGHUP",
        "             1200 triggers in all",
        "  kept:      web-7, web:0 (ef), created 10m ago, rollback to web-3, sha256:121212121212",
        "  firewall:  repaired 2 times",
        "  process:   77, hanoverd 1.0",
    ):
        assert line in text.splitlines(), text
    bare = copy.deepcopy(STATUS) | {"live": None, "ports": [], "handover": None, "state": "stopping", "paused": False}
    assert status_text(bare, 0.0).splitlines()[1] == "  state:     No version is live, stopping"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"outcome": "live"}, "web: web-1 (web:2) is live after 2.5s"),
        ({"outcome": "live", "rollback_to": "web-0"}, "web: web-1 (web:2), a rollback to web-0, is live after 2.5s"),
        ({"outcome": "failed", "why": "x"}, "web: the handover to web-1 failed after 2.5s: x"),
        ({"outcome": "cancelled", "why": "x"}, "web: the handover to web-1 was cancelled after 2.5s: x"),
        ({"outcome": "cancelled", "version": "", "why": "x"}, "web: the handover was cancelled after 2.5s: x"),
    ],
)
def test_what_a_handover_came_to(changes: dict[str, str], text: str) -> None:
    assert outcome("web", {**RECORD, **changes}) == text


def test_they_load_none_of_the_libraries(tmp_path: Path) -> None:
    code = (
        "import sys; from hanoverd.cli.main import main\n"
        "try: main(['history', 'web'])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'twisted', 'docker', 'treq', 'requests', 'autobahn', 'boto3'} & set(sys.modules)) or 0)"
    )
    env = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    assert "no hanoverd serves web" in done.stderr
