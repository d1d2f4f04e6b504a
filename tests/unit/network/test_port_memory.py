"""The host ports that were picked for an app are remembered in a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from hanoverd.network.port_memory import PortMemory
from hanoverd.spec.ports import HIGHEST_PORT, ContainerPort, PortRequest, Protocol, PublishedPort
from tests.unit.deploy.dummies import ids

REQUESTS = st.builds(
    PortRequest,
    st.builds(ContainerPort, st.integers(1, HIGHEST_PORT), st.sampled_from(Protocol)),
    st.sampled_from([None, range(8000, 8001), range(8000, 8011)]),
    st.ip_addresses(v=4),
)


@given(st.lists(st.tuples(REQUESTS, st.integers(1, HIGHEST_PORT)), max_size=5))
def test_what_was_picked_is_read_back_and_what_the_user_chose_is_not_saved(
    picks: list[tuple[PortRequest, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = PortMemory(Path(folder, "state", "app.ports"))
        published = [request.published_at(number) for request, number in picks]
        memory.save([request for request, _ in picks], published)
        expected = [port for (request, _), port in zip(picks, published, strict=True) if not request.only_host_port]
        assert memory.read() == expected


def test_without_ports_to_pick_there_is_no_file(tmp_path: Path) -> None:
    path = tmp_path / "app.ports"
    memory, request = PortMemory(path), PortRequest(ContainerPort(80))
    memory.save([request], [request.published_at(32768)])
    assert path.read_text() == "0.0.0.0 32768 80/tcp\n"
    memory.save([], [])
    memory.save([], [])
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
    memory, request = PortMemory(tmp_path / "file" / "app.ports"), PortRequest(ContainerPort(80))
    with capturedLogs() as logged:
        memory.save([request], [request.published_at(32768)])
        assert memory.read() == []
    assert ids(logged) == ["ports_not_remembered"] * 2
