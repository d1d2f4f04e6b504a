"""The host ports that were picked for an app are remembered in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from hanoverd.network.port_memory import PortMemory
from hanoverd.spec.ports import ANY_IPV4, HIGHEST_PORT, ContainerPort, HostPort, Protocol, PublishedPort
from tests.unit.deploy.dummies import ids

WEB = PublishedPort(HostPort(ANY_IPV4, 32768), ContainerPort(80))


@st.composite
def published_ports(draw: st.DrawFn) -> PublishedPort:
    container = ContainerPort(draw(st.integers(1, HIGHEST_PORT)), draw(st.sampled_from(Protocol)))
    number = draw(st.integers(1, HIGHEST_PORT))
    return PublishedPort(HostPort(draw(st.ip_addresses()), number, container.protocol), container)


@given(st.lists(published_ports(), max_size=5))
def test_what_was_picked_is_read_back(picked: list[PublishedPort]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = PortMemory(Path(folder, "state", "app.ports"))
        memory.save(picked)
        assert memory.read() == picked


def test_without_ports_to_pick_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "app.ports"
    memory = PortMemory(path)
    memory.save([WEB])
    assert path.read_text() == "0.0.0.0 32768 80/tcp\n"
    memory.save([])
    memory.save([])
    assert (path.exists(), memory.read()) == (False, [])


@pytest.mark.parametrize(
    "text", ["0.0.0.0 0 80/tcp", "0.0.0.0 65536 80/tcp", "0.0.0.0 80", "x 1 80/tcp", "0.0.0.0 1 80/x", "\n", "\0 \0 \0"]
)
def test_a_file_that_holds_something_else_is_logged_and_stops_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.ports"
    path.write_text(text)
    with capturedLogs() as logged:
        assert PortMemory(path).read() == []
    assert ids(logged) == ["ports_not_remembered"]


@given(st.binary(max_size=60))
def test_any_content_can_be_read(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "app.ports")
        path.write_bytes(content)
        found: list[PublishedPort] = PortMemory(path).read()
        assert all(0 < port.host.number <= HIGHEST_PORT for port in found)


def test_a_folder_that_cannot_be_used_is_logged_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = PortMemory(tmp_path / "file" / "app.ports")
    with capturedLogs() as logged:
        memory.save([WEB])
        assert memory.read() == []
    assert ids(logged) == ["ports_not_remembered"] * 2
