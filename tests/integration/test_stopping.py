"""How hanoverd stops: by a signal, at the end of its terminal, at once after a second signal, and by kill -9."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.asking import WITHIN, eventually, eventually_equal, hostname, names, refused
from tests.integration.conftest import StartDaemon
from tests.lab.clients import Clients
from tests.lab.daemon import environment, twistd
from tests.lab.events import EventLog
from tests.lab.host import Lab
from tests.lab.images import write_app

PUBLISHED = ("-p", "8080:80")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_gracefully_with_exit_status_0(
    lab: Lab, app_folder: Path, daemon: StartDaemon, number: signal.Signals
) -> None:
    with daemon(*PUBLISHED, "--name", "calm", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("calm-0")
        hanoverd.signal(number)
        assert hanoverd.wait() == 0
        assert hanoverd.events("output", version="calm-0", line="ended")
        assert names(lab.containers("calm")) == []
        assert "HANOVERD" not in lab.iptables_save()


def test_a_request_in_progress_is_answered_before_the_stop(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon(*PUBLISHED, "--name", "patient", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("patient-0")
        clients = Clients(lab.in_client, lab.host_ip, "8080", "--path", "/slow?3", "--seconds", "0.1")
        assert hanoverd.terminate() == 0
        assert clients.finish()["ok"] == 1


def test_a_container_that_ignores_its_stop_signal_is_killed_after_the_stop_timeout(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    arguments = (*PUBLISHED, "-e", "NO_TERM=1", "--stop-timeout", "2", "--name", "stubborn")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("stubborn-0")
        assert hanoverd.terminate() == 0
        assert 2 <= hanoverd.wait_gone("stubborn-0")["stop_seconds"] < 8


def test_a_second_signal_kills_at_once(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    arguments = (*PUBLISHED, "-e", "NO_TERM=1", "--stop-timeout", "-1", "--name", "stuck")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("stuck-0")
        hanoverd.signal(signal.SIGTERM)
        hanoverd.wait_event("output", version="stuck-0", line="SIGTERM")
        hanoverd.signal(signal.SIGINT)
        assert hanoverd.wait() == 0
        assert names(lab.containers("stuck")) == []


def test_the_stop_signal_can_be_changed(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    arguments = (*PUBLISHED, "--stop-signal", "KILL", "--name", "harsh")
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("harsh-0")
        assert hanoverd.terminate() == 0
        assert not hanoverd.events("output", version="harsh-0", line="SIGTERM")


def test_a_stop_does_not_wait_for_draining_versions(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon(*PUBLISHED, "--name", "drained", "--drain-timeout", "10m", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("drained-0")
        clients = Clients(lab.in_client, lab.host_ip, "8080", "--path", "/held", "--seconds", "0.1")
        hanoverd.hup()
        hanoverd.wait_live("drained-1")
        assert hanoverd.terminate() == 0
        assert hanoverd.events("drain_ended", version="drained-0")
        assert clients.finish()["failed"] == 0


def live_versions(log: Path) -> list[str]:
    """Return the versions that went live, from a log file."""
    return [event["version"] for event in EventLog(log).read() if event.id == "live"]


def on_a_terminal(lab: Lab, folder: Path, *arguments: str) -> tuple[subprocess.Popen[bytes], int]:
    """Run hanoverd on a terminal of its own; return the process and the other side of the terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        lab.in_host(["setsid", "--ctty", "--wait", *twistd("--log-format=json", *arguments)]),
        cwd=folder,
        env=environment(lab),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, pattern: str, seconds: float = WITHIN) -> str:
    """Return the output of the terminal up to ``pattern``."""
    shown, deadline = "", time.monotonic() + seconds
    os.set_blocking(terminal, False)
    while not re.search(pattern, shown):
        assert time.monotonic() < deadline, f"no {pattern!r}:\n{shown}"
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.02)
        except OSError:
            time.sleep(0.02)
    return shown


def test_on_a_terminal_the_build_is_shown_and_ctrl_d_stops_it(lab: Lab, app_folder: Path) -> None:
    write_app(app_folder, version="never built before")
    process, terminal = on_a_terminal(lab, app_folder, *PUBLISHED, "--name", "typed")
    shown = read_until(terminal, '"event": "live"')
    assert re.search(r"^  Step 2/", shown, re.MULTILINE)
    os.write(terminal, b"\x04")
    read_until(terminal, '"event": "stopping"')
    assert process.wait(WITHIN) == 0
    os.close(terminal)


def test_on_a_terminal_ctrl_c_stops_it(lab: Lab, app_folder: Path) -> None:
    process, terminal = on_a_terminal(lab, app_folder, *PUBLISHED, "--name", "typed")
    read_until(terminal, '"event": "live"')
    os.write(terminal, b"\x03")
    read_until(terminal, '"event": "ended"')
    assert process.wait(WITHIN) == 0
    os.close(terminal)


def test_under_nohup_it_survives_the_terminal(lab: Lab, app_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as output:
        process = subprocess.Popen(
            lab.in_host(["nohup", *twistd("--log-format=json", *PUBLISHED, "--name", "hupped")]),
            cwd=app_folder,
            env=environment(lab),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        eventually_equal(lambda: live_versions(out), ["hupped-0"])
        process.send_signal(signal.SIGHUP)
        eventually_equal(lambda: live_versions(out), ["hupped-0", "hupped-1"])
    finally:
        process.terminate()
        assert process.wait(WITHIN) == 0


def test_it_runs_as_a_twistd_daemon(lab: Lab, app_folder: Path, tmp_path: Path) -> None:
    log, pidfile = tmp_path / "twistd.log", tmp_path / "twistd.pid"
    argv = [twistd()[0], f"--logfile={log}", f"--pidfile={pidfile}", "hanoverd", "--log-format=json"]
    argv += [*PUBLISHED, "--name", "detached"]
    subprocess.run(
        lab.in_host(argv), cwd=app_folder, env=environment(lab), stdin=subprocess.DEVNULL, check=True, timeout=WITHIN
    )
    pid = int(pidfile.read_text())
    try:
        eventually_equal(lambda: live_versions(log), ["detached-0"])
        os.kill(pid, signal.SIGHUP)
        eventually_equal(lambda: live_versions(log), ["detached-0", "detached-1"])
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "detached-1"
    finally:
        os.kill(pid, signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{pid}").exists())
    assert EventLog(log).read()[-1].id == "ended"
    assert not pidfile.exists()


def test_a_sighup_during_the_start_does_not_kill_it(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon(*PUBLISHED, "--name", "early", cwd=app_folder) as hanoverd:
        eventually(lambda: hanoverd.handles(signal.SIGHUP))
        for _ in range(20):
            hanoverd.hup()
            time.sleep(0.01)
        # Cancelled handovers have used numbers too.
        hanoverd.wait_event("live")


def test_after_kill_9_the_old_version_serves_until_a_new_start_replaces_it(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    url = f"http://{lab.host_ip}:8080/"
    with daemon(*PUBLISHED, "--name", "phoenix", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("phoenix-0")
        hanoverd.kill()
    assert hostname(lab.in_client, url) == "phoenix-0"
    clients = Clients(lab.in_client, lab.host_ip, "8080", "--pause", "0.01")
    with daemon(*PUBLISHED, "--name", "phoenix", cwd=app_folder) as hanoverd:
        hanoverd.wait_event("adopted", version="phoenix-0")
        hanoverd.wait_live("phoenix-1")
        hanoverd.wait_gone("phoenix-0")
        counted = clients.finish()
        assert names(lab.containers("phoenix")) == ["phoenix-1"]
        assert hanoverd.terminate() == 0
    assert (counted["failed"], counted["versions"]) == (0, ["phoenix-0", "phoenix-1"])
    assert refused(lab.in_client, url)
