"""The commands for running daemons: how they are written, whom they find, what they show."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hanoverd.cli.client.connection import daemon_of
from hanoverd.cli.client.tables import history_row, list_row, outcome, status_text, table
from hanoverd.cli.parse import mistyped, parse
from hanoverd.runtime.errors import ControlError, UsageError
from hanoverd.runtime.sockets import runtime_folder, searched_folders
from hanoverd.spec.app import AppSpec
from hanoverd.spec.programs import RemoteCommand


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("list", RemoteCommand("list", "")),
        ("list -q", RemoteCommand("list", "", quiet=True)),
        ("list --format json --no-trunc", RemoteCommand("list", "", json=True, trunc=False)),
        ("status web --json --watch", RemoteCommand("status", "web", json=True, watch=True)),
        ("status -w web", RemoteCommand("status", "web", watch=True)),
        ("deploy web --image team/web:2 --wait", RemoteCommand("deploy", "web", image="team/web:2", wait=True)),
        ("cancel web", RemoteCommand("cancel", "web")),
        ("rollback web", RemoteCommand("rollback", "web")),
        ("rollback web 12", RemoteCommand("rollback", "web", generation=12)),
        ("rollback --wait web my-web-12", RemoteCommand("rollback", "web", generation=12, wait=True)),
        ("pause web", RemoteCommand("pause", "web")),
        ("resume web", RemoteCommand("resume", "web")),
        ("logs web -f -n 5", RemoteCommand("logs", "web", follow=True, tail=5)),
        ("logs -fn0 web", RemoteCommand("logs", "web", follow=True, tail=0)),
        ("logs web --app", RemoteCommand("logs", "web", source="app")),
        ("logs web --daemon --since 10m", RemoteCommand("logs", "web", source="daemon", since=600)),
        ("logs -t --json web", RemoteCommand("logs", "web", timestamps=True, json=True)),
        ("history -- web", RemoteCommand("history", "web")),
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
        ("rollback web x", '"x" is no generation: write a number'),
        ("logs web --tail few", "it must be a number, or all"),
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
    assert str(runtime_folder({}, 7)) == "/tmp/hanoverd-7"
    assert str(runtime_folder({"HANOVERD_RUNTIME_DIR": "/x"}, 7)) == "/x"
    assert [str(folder) for folder in searched_folders({"XDG_RUNTIME_DIR": "/r"}, 7)] == [
        "/r/hanoverd",
        "/run/hanoverd",
    ]
    assert [str(folder) for folder in searched_folders({"HANOVERD_RUNTIME_DIR": "/x"}, 0)] == ["/x"]


def test_a_socket_that_nobody_serves(tmp_path: Path) -> None:
    environ = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    with pytest.raises(ControlError, match=r"no hanoverd serves an app named web here \(there is none at all"):
        daemon_of("web", environ, 0)
    (tmp_path / "web.sock").touch()
    with pytest.raises(ControlError, match="the hanoverd that served web has ended"):
        daemon_of("web", environ, 0).get("/status")
    with pytest.raises(ControlError, match="there are: web;"):
        daemon_of("other", environ, 0)


RECORD: dict[str, Any] = {
    "id": 2,
    "trigger": "SIGHUP",
    "began": 1000.0,
    "version": "web-1",
    "old": "web-0",
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
        "image": "web:1",
        "image_id": f"sha256:{'cd' * 32}",
        "address": "172.17.0.2",
        "since": 940.0,
    },
    "ports": [{"host_ip": "0.0.0.0", "host_port": 80, "container_ip": "172.17.0.2", "container_port": 8080}],
    "draining": ["web-9"],
    "handover": RECORD,
    "paused": True,
    "held": ["SIGHUP"],
    "kept": [{"generation": 7, "image": "web:0", "image_id": "sha256:ef"}],
    "rules_mended": 2,
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
    assert row[:7] == ["2", "web-1", "web:2", "SIGHUP", "1m ago", "2.5s", "failed"]
    assert row[7].startswith("web-1 failed: why why")
    assert len(row[7]) == 60
    whole = history_row({**RECORD, "took": None}, 1060.0, trunc=False)
    assert whole[5] == ""
    assert whole[7] == "obtained in 1.2s, created in 20ms"
    assert whole[8].endswith("why why")


def test_the_status_for_people() -> None:
    told = status_text(STATUS, 1000.0)
    for line in (
        "web",
        "  state:     Live for 1m (paused)",
        f"  live:      web-0, web:1 (sha256:{'cd' * 32}), at 172.17.0.2",
        "  port:      0.0.0.0:80->8080/tcp",
        "  draining:  web-9",
        "  handover:  2, of web-1, began 0s ago: SIGHUP",
        "             obtained in 1.2s, created in 20ms",
        "  held:      SIGHUP",
        "  kept:      7, web:0 (sha256:ef)",
        "  firewall:  put right 2 times",
        "  process:   77, hanoverd 1.0",
    ):
        assert line in told.splitlines(), told
    bare = copy.deepcopy(STATUS) | {"live": None, "ports": [], "handover": None, "state": "stopping", "paused": False}
    assert status_text(bare, 0.0).splitlines()[1] == "  state:     No version is live, stopping"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"outcome": "live"}, "web: handover 2: web-1 (web:2) is live after 2.5s"),
        ({"outcome": "failed", "why": "x"}, "web: handover 2: failed after 2.5s: x"),
        ({"outcome": "cancelled", "why": "x"}, "web: handover 2: cancelled after 2.5s: x"),
    ],
)
def test_what_a_handover_came_to(changes: dict[str, str], told: str) -> None:
    assert outcome("web", {**RECORD, **changes}) == told


def test_they_load_none_of_the_libraries(tmp_path: Path) -> None:
    code = (
        "import sys; from hanoverd.cli.main import main\n"
        "try: main(['list'])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'twisted', 'docker', 'treq', 'requests', 'autobahn', 'boto3'} & set(sys.modules)) or 0)"
    )
    env = {"HANOVERD_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("APP   VERSION")
