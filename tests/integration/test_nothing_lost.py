"""100 handovers, one every 1.5 seconds, under load from another host and from the same host: no request is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.conftest import StartDaemon
from tests.lab.clients import Clients
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import write_app

EVERY = 1.5


def hand_over(hanoverd: Daemon, app: str, times: int) -> None:
    """Do this many handovers, one every ``EVERY`` seconds."""
    due = time.monotonic()
    for number in range(1, times + 1):
        due += EVERY
        time.sleep(max(0.0, due - time.monotonic()))
        hanoverd.hup()
        hanoverd.wait_live(f"{app}-{number}")


@contextmanager
def from_both_hosts(lab: Lab, *arguments: str) -> Iterator[list[dict[str, Any]]]:
    """Run clients on the other host, and on the host by its address and by 127.0.0.1; yield a list that gets their counts."""
    counted: list[dict[str, Any]] = []
    places = [(lab.in_client, lab.host_ip), (lab.in_host, lab.host_ip), (lab.in_host, "127.0.0.1")]
    clients = [Clients(prefixed, address, "8080", *arguments) for prefixed, address in places]
    try:
        yield counted
    finally:
        counted += [client.finish() for client in clients]


def cut_connections(hanoverd: Daemon) -> list[int]:
    """Return the number of cut connections of each drain that cut some."""
    return [event["connections"] for event in hanoverd.events("removed", "kept", connections=lambda count: count)]


def lossless(counted: list[dict[str, Any]], at_least: int, versions: int) -> None:
    """Assert that each request was answered, and that clients reached so many versions."""
    for counts in counted:
        print(counts | {"versions": len(counts["versions"])})
        assert (counts["failed"], counts["cut"], counts["errors"]) == (0, 0, [])
        assert counts["ok"] == counts["requests"] >= at_least
        assert len(counts["versions"]) >= versions


def test_short_long_and_very_long_requests_are_all_answered(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "busy", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("busy-0")
        with (
            from_both_hosts(lab, "--path", "/slow?20", "--timeout", "40", "--seconds", "50") as very_long,
            from_both_hosts(lab, "--path", "/slow?2", "--workers", "2") as long,
            from_both_hosts(lab, "--workers", "2", "--pause", "0.01") as short,
        ):
            hand_over(hanoverd, "busy", 50)
        lossless(very_long, at_least=2, versions=2)
        lossless(long, at_least=30, versions=20)
        lossless(short, at_least=2000, versions=45)
        assert not cut_connections(hanoverd)


def test_the_end_of_a_drain_cuts_no_answer_of_a_keep_alive_client(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    with daemon("-p", "8080:80", "--name", "kept", "--drain-timeout", "2s", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("kept-0")
        with from_both_hosts(lab, "--keep-alive", "--repeat-once", "--workers", "4", "--pause", "0.001") as counted:
            hand_over(hanoverd, "kept", 25)
            hanoverd.wait_gone("kept-23")
        lossless(counted, at_least=1000, versions=8)
        # The drains timed out: open connections of each version were closed.
        assert sum(counts["repeated"] for counts in counted) > 0
        assert cut_connections(hanoverd)


def test_an_app_that_gets_the_drain_signal_closes_no_connection_during_a_request(
    lab: Lab, tmp_path: Path, daemon: StartDaemon
) -> None:
    write_app(tmp_path, env={"DRAIN_SIGNAL": "SIGUSR1"})
    with daemon("-p", "8080:80", "--name", "polite", "--drain-signal", "USR1", cwd=tmp_path) as hanoverd:
        hanoverd.wait_live("polite-0")
        with from_both_hosts(lab, "--keep-alive", "--workers", "4", "--pause", "0.001") as counted:
            hand_over(hanoverd, "polite", 25)
        lossless(counted, at_least=1000, versions=25)
        assert [counts["closed_under_request"] for counts in counted] == [0, 0, 0]
        assert not cut_connections(hanoverd)
