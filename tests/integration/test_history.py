"""The history of handovers: what it holds, and that it survives the process, a damaged file and a full disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.asking import hostname
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import OTHER_USER, Commands, commands
from tests.lab.host import Lab
from tests.lab.images import write_app

__all__ = ["commands"]

URL = "http://{}:8080/"
ARGUMENTS = ("-p", "8080:80", "--name", "web", "--keep-versions", "0", "--drain-timeout", "1s")
SECRET = "hunter2"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k,mode=755", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def history(commands: Commands, *options: str, as_user: Sequence[str] = ()) -> list[Any]:
    """Return the handovers, by ``hanoverd history``."""
    code, out, err = commands.end("history", "web", "--format", "json", *options, as_user=as_user)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def test_it_survives_kills_and_restarts_and_says_who_did_what(
    lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands
) -> None:
    options = (*ARGUMENTS, "-e", f"PASSWORD={SECRET}", "--label", f"api_key={SECRET}")
    file = lab.state / "web.history" / "history.sqlite3"
    with daemon(*options, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        with idle_connection(lab):
            write_app(app_folder, version="2")
            commands("deploy", "web", "--wait")
            hanoverd.wait_gone("web-0")
        write_app(app_folder, env={"EXIT": "3"})
        hanoverd.hup()
        hanoverd.wait_event("waiting")
        write_app(app_folder, env={"MUTE": "1"})
        hanoverd.hup()
        hanoverd.wait_event("started", version="web-3")
        served = history(commands)
        hanoverd.kill()
    assert [one["outcome"] for one in served] == ["live", "live", "failed", "under way"]

    # Without a hanoverd: the file is read, and not changed.
    found = history(commands)
    assert [one["id"] for one in found] == [1, 2, 3, 4]
    assert found[:3] == served[:3]
    assert found[3]["outcome"] == "interrupted"
    known = ("version", "old", "source", "image", "image_id", "changes")
    assert [found[3][name] for name in known] == [served[3][name] for name in known]
    check_records(found, app_folder)
    check_commands(commands)

    # The next one, with other options, takes over and continues.
    write_app(app_folder, version="3")
    with daemon(*options, "-e", "MORE=1", cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="web-1")
        hanoverd.wait_live("web-4")
        hanoverd.wait_gone("web-1")
        *before, last = history(commands)
        assert before == found
        assert (last["id"], last["outcome"], last["old"]) == (5, "live", "web-1")
        assert [one["place"] for one in last["changes"]] == ["Image", "Env"]
        assert [one["id"] for one in history(commands, "--limit", "1")] == [5]
        assert hanoverd.terminate() == 0
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    assert SECRET.encode() not in file.read_bytes()
    assert len(history(commands)) == 5
    code, _, err = commands.end("history", "web", as_user=OTHER_USER)
    assert (code, err) == (1, f"hanoverd: cannot read {file}: Permission denied: run this command as root\n")


def check_records(found: Sequence[Any], app_folder: Path) -> None:
    """Check what the records of a start, a command, a failure and a handover that was interrupted say."""
    first, second, third, fourth = found
    nobody = {"user": "", "uid": None, "topic": "", "commit": ""}
    assert first["asked_by"] == [{**nobody, "kind": "start"}]
    assert second["asked_by"] == [{**nobody, "kind": "command", "user": "root", "uid": 0}]
    assert third["asked_by"] == fourth["asked_by"] == [{**nobody, "kind": "signal"}]
    assert (first["app"], first["number"], first["old"], first["changes"]) == ("web", 0, "", None)
    assert first["source"] == f"build {app_folder}"
    assert (second["version"], second["old"]) == ("web-1", "web-0")
    [image] = second["changes"]
    assert image["place"] == "Image"
    assert first["image_id"] in image["live"]
    assert second["image_id"] in image["next"]
    # A connection is open until the drain timeout.
    [drained] = second["drained"]
    assert (drained["version"], drained["finished"], drained["cut"]) == ("web-0", 0, 1)
    assert "cannot continue: exiting with 3" in third["why"]


def check_commands(commands: Commands) -> None:
    """Check which of four handovers the options select, what the table shows, and who may see it."""
    assert [one["id"] for one in history(commands, "--limit", "2")] == [3, 4]
    assert history(commands, "--since", "2099-01-01") == history(commands, "--since", "0s") == []
    assert len(history(commands, "--since", "1h")) == 4
    table = commands("history", "web", "--no-trunc").splitlines()
    assert "interrupted" in table[1]
    assert "hanoverd deploy, by root" in table[3]
    assert "web-0: 0 finished, 1 cut" in table[3]
    code, _, err = commands.end("history", "web", as_user=OTHER_USER)
    assert code == 1
    assert "run this command as that user or as root" in err


@contextmanager
def idle_connection(lab: Lab) -> Iterator[None]:
    """Hold a connection from the client host to the live version."""
    code = (
        "import socket, sys\n"
        f"held = socket.create_connection(({lab.host_ip!r}, 8080))\n"
        "held.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'); held.recv(9999)\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    command = lab.in_client([sys.executable, "-c", code])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holding:
        assert holding.stdout
        assert holding.stdout.readline() == "held\n"
        yield
        holding.communicate()


def test_a_damaged_file_and_a_full_disk_do_not_disturb_a_handover(
    lab: Lab, app_folder: Path, daemon: StartDaemon, commands: Commands, small_disk: Path
) -> None:
    file = small_disk / "web.history" / "history.sqlite3"
    file.parent.mkdir(0o700)
    file.write_bytes(b"not a database " * 100)
    env = {"HANOVERD_STATE_DIR": str(small_disk)}
    prefix = ("env", *(f"{name}={value}" for name, value in env.items()))
    with daemon(*ARGUMENTS, cwd=app_folder, env=env) as hanoverd:
        hanoverd.wait_event("history_damaged", path=str(file), aside=f"{file}.damaged")
        hanoverd.wait_live("web-0")
        filler = small_disk / "filler"
        subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1k"], check=False, capture_output=True)
        for version in ("web-1", "web-2"):
            hanoverd.hup()
            hanoverd.wait_live(version)
            assert hostname(lab.in_client, URL.format(lab.host_ip)) == version
        event = hanoverd.wait_event("history_unsaved")
        assert "disk" in event["reason"]
        assert [one["version"] for one in history(commands)] == ["web-0", "web-1", "web-2"]
        filler.unlink()
        hanoverd.hup()
        hanoverd.wait_live("web-3")
        hanoverd.wait_event("history_saved")
        assert len(hanoverd.events("history_unsaved")) == 1
        # Another process has replaced the whole file with garbage in the meantime.
        os.kill(hanoverd.pid, signal.SIGSTOP)
        file.unlink()
        file.write_bytes(b"garbage " * 1000)
        os.kill(hanoverd.pid, signal.SIGCONT)
        hanoverd.hup()
        hanoverd.wait_live("web-4")
        assert hanoverd.wait_event("history_damaged", after=event)
        assert [one["id"] for one in history(commands)] == [1, 2, 3, 4, 5]
        assert hanoverd.terminate() == 0
    saved = [one["version"] for one in history(commands, as_user=prefix)]
    assert (saved[-1], "web-0" in saved) == ("web-4", False)
