"""The options of a container's output, judged by hanoverd's log."""

from __future__ import annotations

from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket

from tests.integration.conftest import StartDaemon
from tests.integration.test_output import let_print


def test_only_the_attached_stream_is_logged_and_a_failure_shows_both(app_folder: Path, daemon: StartDaemon) -> None:
    let_print(app_folder, "echo to stdout; echo to stderr >&2")
    with daemon("-p", "8080:80", "--name", "web", "-a", "stderr", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.wait_event("output", line="to stderr")
        dockerfile = app_folder / "Dockerfile"
        dockerfile.write_text(f"{dockerfile.read_text().partition('CMD')[0]}CMD echo the reason; echo no >&2; exit 3\n")
        hanoverd.hup()
        error = hanoverd.wait_event("failed")["error"]
        assert error.startswith("exited with code 3 before it was ready; its last 2 lines:")
        assert {"    the reason", "    no"} <= set(error.splitlines())
        assert [event["line"] for event in hanoverd.events("output")] == ["to stderr", "no"]


def test_the_output_to_a_terminal_is_logged_as_fast_as_it_comes(app_folder: Path, daemon: StartDaemon) -> None:
    # More than a hundred kilobytes, and fewer lines than are logged at once.
    let_print(app_folder, "seq 1000000001 1000009000; echo no more >&2")
    with daemon("-p", "8080:80", "--name", "web", "--tty", "--log-driver", "local", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.wait_event("output", line="no more")
        lines = [event["line"] for event in hanoverd.events("output") if event["line"].startswith("100000")]
        assert lines == [str(number) for number in range(1000000001, 1000009001)]


def test_without_a_log_that_can_be_read_the_app_serves_and_the_messages_say_so(
    app_folder: Path, daemon: StartDaemon
) -> None:
    with daemon("-p", "8080:80", "--name", "web", "--log-driver", "none", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.wait_event("output_unavailable", version="web-0")
        dockerfile = app_folder / "Dockerfile"
        dockerfile.write_text(f"{dockerfile.read_text().partition('CMD')[0]}CMD echo the reason; exit 3\n")
        hanoverd.hup()
        error = hanoverd.wait_event("failed")["error"]
        assert error == (
            "exited with code 3 before it was ready; what it printed is unknown: its log driver keeps no log that can be read"
        )
        assert hanoverd.events("output") == []


def test_a_log_that_the_engine_sends_away_is_shown_too(app_folder: Path, tmp_path: Path, daemon: StartDaemon) -> None:
    let_print(app_folder, "echo hello")
    with socket(AF_UNIX, SOCK_DGRAM) as syslog:
        syslog.bind(str(tmp_path / "log"))
        syslog.settimeout(60)
        options = ("--log-opt", f"syslog-address=unixgram://{tmp_path}/log", "--log-opt", "tag=of {{.Name}}")
        with daemon("-p", "8080:80", "--name", "web", "--log-driver", "syslog", *options, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("web-0")
            hanoverd.wait_event("output", line="hello", version="web-0")
            received = [syslog.recv(65536).decode() for _ in range(2)]
            assert any("of web-0" in line and line.endswith(": hello\n") for line in received), received
            assert hanoverd.terminate() == 0
