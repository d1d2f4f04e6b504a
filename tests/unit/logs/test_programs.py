"""The log of the real programs: on a terminal, in a pipe, in a file, in the journal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

BIN = Path(sys.executable).parent
HANOVERD = (str(BIN / "hanoverd"),)
TWISTD = (str(BIN / "twistd"), "-n", "--pidfile=", "hanoverd")

DAY_TIME = r"\d\d:\d\d:\d\d"
FULL_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"


def lines_of_a_run(
    command: Sequence[str],
    *arguments: str,
    terminal: bool = False,
    env: Mapping[str, str] | None = None,
    journal: bool = False,
    log: Callable[[], str] | None = None,
) -> list[str]:
    """Run a program that needs neither root nor an engine: the hookbot server.  It starts, gets a webhook without a
    signature, which is logged as an error, and stops.  Returns what it printed, or logged to ``log``.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    read, write = pty.openpty() if terminal else os.pipe()
    found = os.fstat(write)
    environment = {
        "HOOKBOT_KEY": "key",
        "HOOKBOT_GITHUB_SECRET": "secret",
        "PATH": os.environ["PATH"],
        **({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"} if journal else {}),
        **(env or {}),
    }
    serve = ("hookbot", "serve", "--router", "github", "--bind", address)
    program = subprocess.Popen(
        [*command, *serve, *arguments], stdin=subprocess.DEVNULL, stdout=write, stderr=write, env=environment
    )
    os.close(write)
    try:
        request = Request(f"http://{address}/unsafe/pub/github.com/?extra-metadata=github", b"{}", method="POST")
        _post_until_answered(request, program)
    finally:
        program.terminate()
        program.wait(10)
    printed = _read_all(read)
    return (printed if log is None else log()).splitlines()


def _post_until_answered(request: Request, program: subprocess.Popen[bytes]) -> None:
    while program.poll() is None:
        try:
            urlopen(request, timeout=5).close()
        except HTTPError as error:
            error.close()
        except OSError:
            time.sleep(0.02)
            continue
        return
    raise AssertionError(f"it ended with {program.returncode}")


def _read_all(fd: int) -> str:
    data = b""
    while True:
        try:
            more = os.read(fd, 65536)
        except OSError:  # The other end of a terminal is closed.
            break
        if not more:
            break
        data += more
    os.close(fd)
    return data.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("command", [HANOVERD, TWISTD], ids=["hanoverd", "twistd"])
def test_on_a_terminal_lines_are_short_and_errors_are_red(command: Sequence[str]) -> None:
    started, error = lines_of_a_run(command, terminal=True, env={"TERM": "xterm"})
    assert re.fullmatch(rf"\033\[2m{DAY_TIME}\033\[0m hookbot.* 127\.0\.0\.1:\d+", started)
    assert re.match(rf"\033\[2m{DAY_TIME}\033\[0m \033\[1;31mERROR\033\[0m ", error)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_has_no_colours_where_they_are_not_wanted(env: Mapping[str, str]) -> None:
    started, error = lines_of_a_run(HANOVERD, terminal=True, env=env)
    assert re.match(rf"{DAY_TIME} hookbot", started)
    assert re.match(rf"{DAY_TIME} ERROR ", error)


@pytest.mark.parametrize("command", [HANOVERD, TWISTD], ids=["hanoverd", "twistd"])
def test_in_a_pipe_lines_have_the_whole_time_and_nothing_of_twisted_is_seen(command: Sequence[str]) -> None:
    started, error = lines_of_a_run(command)
    assert re.match(rf"{FULL_TIME} hookbot", started)
    assert re.match(rf"{FULL_TIME} ERROR ", error)


@pytest.mark.parametrize("command", [HANOVERD, TWISTD], ids=["hanoverd", "twistd"])
def test_as_json_each_line_is_an_object(command: Sequence[str]) -> None:
    started, error = map(json.loads, lines_of_a_run(command, "--log-format", "json"))
    assert (started["level"], started["event"]) == ("info", "hookbot_serving")
    assert started["address"].startswith("127.0.0.1:")
    assert re.fullmatch(FULL_TIME, started["time"])
    assert (error["level"], error["event"]) == ("error", "webhook_dropped")
    assert error["message"].endswith(error["error"])


def test_on_a_terminal_json_is_as_elsewhere() -> None:
    started, _ = map(json.loads, lines_of_a_run(HANOVERD, "--log-format=json", terminal=True))
    assert started["event"] == "hookbot_serving"


def test_in_the_journal_lines_have_a_priority_and_no_time() -> None:
    started, error = lines_of_a_run(HANOVERD, journal=True)
    assert started.startswith("<6>hookbot")
    assert error.startswith("<3>")


def test_a_pipe_that_is_not_the_journals_gets_the_time() -> None:
    started, _ = lines_of_a_run(HANOVERD, env={"JOURNAL_STREAM": "1:2"})
    assert re.match(FULL_TIME, started)


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_twistds_log_file_has_the_format_that_was_asked_for(tmp_path: Path, log_format: str) -> None:
    file = tmp_path / "log"
    twistd = (str(BIN / "twistd"), "-n", "--pidfile=", f"--logfile={file}", "hanoverd")
    lines = lines_of_a_run(twistd, f"--log-format={log_format}", log=file.read_text)
    assert len(lines) == 2
    if log_format == "json":
        assert json.loads(lines[0])["event"] == "hookbot_serving"
    else:
        assert re.match(rf"{FULL_TIME} hookbot", lines[0])


def test_twistds_log_file_is_rotated_at_sigusr1(tmp_path: Path) -> None:
    twistd = [str(BIN / "twistd"), "-n", "--pidfile=", f"--logfile={tmp_path}/log", "hanoverd"]
    program = subprocess.Popen([*twistd, "hookbot", "serve", "--bind=127.0.0.1:0"], env={"HOOKBOT_KEY": "key"})
    try:
        _wait_until((tmp_path / "log").exists)
        _wait_until(lambda: bool((tmp_path / "log").read_text()))
        program.send_signal(signal.SIGUSR1)
        _wait_until((tmp_path / "log.1").exists)
        assert "hookbot" in (tmp_path / "log.1").read_text()
    finally:
        program.terminate()
        program.wait(10)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_twistds_own_logger_comes_first() -> None:
    twistd = (str(BIN / "twistd"), "-n", "--pidfile=", "--logger=tests.unit.logs.loggers.shouting", "hanoverd")
    env = {"PYTHONPATH": str(Path(__file__).parents[3])}
    assert any("] HOOKBOT" in line for line in lines_of_a_run(twistd, env=env))


def test_a_daemon_that_is_to_log_to_standard_output_is_refused() -> None:
    command = [
        str(BIN / "twistd"),
        "--pidfile=",
        "--logfile=-",
        "hanoverd",
        "hookbot",
        "serve",
        "--bind",
        "127.0.0.1:0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={"HOOKBOT_KEY": "key"})
    assert (done.returncode, done.stderr) == (1, "Daemons cannot log to stdout, exiting!\n")


def test_a_locale_that_cannot_show_a_character_is_no_reason_to_lose_the_line() -> None:
    code = (
        "import sys\n"
        "from twisted.logger import Logger, globalLogBeginner\n"
        "from hanoverd.logs.destination import to_stream\n"
        "globalLogBeginner.beginLoggingTo([to_stream(sys.stdout, 'text', {})], redirectStandardIO=False)\n"
        "Logger('hanoverd').info('web-3  | caf\u00e9')\n"
    )
    env = {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.endswith("web-3  | caf\\xe9\n")
