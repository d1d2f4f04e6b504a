"""The notifications that systemd receives."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from hanoverd.runtime.systemd import Systemd

#: An address that no other process uses: tests run in several at once.
ADDRESS = f"hanoverd-test-of-systemd-{os.getpid()}"


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    """A service manager that listens at an abstract address."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{ADDRESS}")
        listening.settimeout(0)
        yield listening


def received(manager: socket.socket) -> list[str]:
    """Return all notifications so far."""
    found = []
    while True:
        try:
            found.append(manager.recv(1000).decode())
        except BlockingIOError:
            return found


def test_it_is_told_of_the_beginning_the_end_and_that_we_are_alive(manager: socket.socket) -> None:
    clock = Clock()
    systemd = Systemd(clock, {"NOTIFY_SOCKET": f"@{ADDRESS}", "WATCHDOG_USEC": "60000000"})
    systemd.ready()
    assert received(manager) == ["READY=1", "WATCHDOG=1"]
    clock.pump([30, 30])
    systemd.stopping()
    clock.advance(30)
    assert received(manager) == ["WATCHDOG=1", "WATCHDOG=1", "STOPPING=1", "WATCHDOG=1"]
    systemd.ended()
    assert clock.getDelayedCalls() == []


def test_without_a_watchdog_nothing_is_repeated(manager: socket.socket) -> None:
    clock = Clock()
    Systemd(clock, {"NOTIFY_SOCKET": f"@{ADDRESS}"}).ready()
    assert received(manager) == ["READY=1"]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1000000"}])
def test_where_there_is_no_manager_nothing_happens(environ: dict[str, str]) -> None:
    systemd = Systemd(Clock(), environ)
    systemd.ready()
    systemd.stopping()
    systemd.ended()


PROJECT = Path(__file__).parents[3]


@pytest.mark.parametrize("unit", sorted((PROJECT / "systemd").iterdir()), ids=lambda unit: unit.name)
def test_the_file_with_the_secrets_is_created_for_root_only(unit: Path) -> None:
    text = unit.read_text()
    [file] = re.findall(r"^EnvironmentFile=-?(\S+)$", text, re.MULTILINE)
    assert f"`install -D -m 600 /dev/null {file.replace('%i', 'shop')}`" in text


@pytest.mark.parametrize("unit", sorted((PROJECT / "systemd").iterdir()), ids=lambda unit: unit.name)
def test_a_unit_runs_only_programs_that_are_always_installed(unit: Path) -> None:
    # Not /bin/kill, which is part of procps.
    programs = re.findall(r"^Exec\w+=[-+!]*(\S+)", unit.read_text(), re.MULTILINE)
    assert set(programs) <= {"/opt/hanoverd/bin/hanoverd", "/bin/sh"}


@pytest.mark.parametrize("page", ["running.rst", "deploy-on-push.rst"])
def test_no_example_creates_such_a_file_for_everybody(page: str) -> None:
    for example in re.findall(r"(?:^    .*\n|^\n)+", (PROJECT / "docs" / page).read_text(), re.MULTILINE):
        for file in re.findall(r"cat > (/etc/hanoverd/\S+)", example):
            assert re.search(rf"install -D -m 600 /dev/null {file}|umask 077", example), example


def test_the_unit_says_what_readme_says() -> None:
    unit = (PROJECT / "systemd" / "hanoverd@.service").read_text()
    for line in ("Type=notify", "WatchdogSec=", "hanoverd deploy %i --wait", "--on-exit keep"):
        assert line in unit
