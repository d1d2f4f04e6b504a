"""Counting the connections that are in progress, with a program that stands for ``conntrack``."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import process, reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from hanoverd.network.conntrack import Conntrack, count_open, finished, misrouted
from hanoverd.network.netlink import Reply
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.processes import ProcessReactor
from hanoverd.spec.ports import HostPort
from tests.unit.timing import shortest

REACTOR: ProcessReactor = reactor  # type: ignore[assignment]  # it provides the interface at run time

LINE = (
    "tcp      6 431998 {} src=10.0.0.2 dst=10.0.0.1 sport=4 dport=8080 "
    "src={} dst=10.0.0.2 sport=80 dport=4 [ASSURED] mark=0 use=1\n"
)
ONE, TWO, THREE = "172.17.0.1", "172.17.0.2", "172.17.0.3"
OPEN = ("SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT")
CLOSED = ("SYN_SENT", "LAST_ACK", "TIME_WAIT", "CLOSE")
NOT_PERMITTED = (
    "conntrack v1.4.7 (conntrack-tools): Operation failed: "
    "sorry, you must be root or get CAP_NET_ADMIN capability to do this"
)
BUSY = "conntrack v1.4.7 (conntrack-tools): Operation failed: Resource temporarily unavailable"


@pytest.mark.parametrize("state", OPEN)
def test_an_answer_may_still_come(state: str) -> None:
    assert count_open(LINE.format(state, ONE) * 2 + LINE.format(state, TWO)) == {ONE: 2, TWO: 1}


@pytest.mark.parametrize("state", CLOSED)
def test_no_answer_will_come(state: str) -> None:
    assert count_open(LINE.format(state, ONE)) == {}


def test_a_connection_without_an_answer_yet_is_counted_where_it_is_answered() -> None:
    line = LINE.replace("dport=8080 src", "dport=8080 [UNREPLIED] src")
    assert count_open(line.format("ESTABLISHED", ONE)) == {ONE: 1}


def test_an_empty_listing_counts_nothing() -> None:
    assert count_open("") == {}


def test_finished_connections_are_known_by_their_answers() -> None:
    listing = "".join(LINE.format(state, ONE) for state in (*OPEN, *CLOSED))
    assert finished(listing) == [Reply(IPv4Address(ONE), 80, IPv4Address("10.0.0.2"), 4)] * 2


ATTEMPT = "tcp      6 118 {} src=10.0.0.2 dst={} sport=4 dport={} {}src={} dst=10.0.0.2 sport=80 dport=4 mark=0 use=1\n"
HOST = HostPort(IPv4Address(0), 8080)


@pytest.mark.parametrize(
    ("state", "target", "port", "answers", "is_found"),
    [
        ("SYN_SENT", "10.0.0.1", 8080, ONE, True),
        ("CLOSE", "10.0.0.1", 8080, ONE, True),
        # Over these, an answer may come, or the next attempt goes where the rules lead.
        ("ESTABLISHED", "10.0.0.1", 8080, ONE, False),
        ("TIME_WAIT", "10.0.0.1", 8080, ONE, False),
        # To a version that serves, to another port, and to a server that the host only forwards to.
        ("SYN_SENT", "10.0.0.1", 8080, TWO, False),
        ("SYN_SENT", "10.0.0.1", 8081, ONE, False),
        ("SYN_SENT", ONE, 8080, ONE, False),
    ],
)
def test_attempts_to_a_published_port_that_went_elsewhere(
    state: str, target: str, port: int, answers: str, *, is_found: bool
) -> None:
    unreplied = "[UNREPLIED] " if state == "SYN_SENT" else ""
    found = misrouted(ATTEMPT.format(state, target, port, unreplied, answers), [HOST], {TWO})
    assert found == ([Reply(IPv4Address(answers), 80, IPv4Address("10.0.0.2"), 4)] if is_found else [])


def test_attempts_to_a_port_at_another_address_of_the_host_are_not_ours() -> None:
    listing = ATTEMPT.format("CLOSE", "10.0.0.1", 8080, "", ONE)
    assert misrouted(listing, [HostPort(IPv4Address("10.0.0.7"), 8080)], ()) == []


@given(st.lists(st.tuples(st.sampled_from([*OPEN, *CLOSED]), st.sampled_from([ONE, TWO, THREE]))))
def test_each_address_has_its_open_connections(connections: list[tuple[str, str]]) -> None:
    listing = "".join(LINE.format(state, address) for state, address in connections)
    assert count_open(listing) == Counter(address for state, address in connections if state in OPEN)


@given(st.text(alphabet="ESTABLISHED src=10. \n") | st.text())
def test_any_listing_can_be_read(listing: str) -> None:
    assert sum(count_open(listing).values()) <= listing.count("src=")


def test_fifty_thousand_connections_are_counted_quickly() -> None:
    listing = "".join(LINE.format("ESTABLISHED", f"172.17.0.{number % 200}") for number in range(50_000))
    assert sum(count_open(listing).values()) == 50_000
    assert shortest(lambda: count_open(listing)) < 0.5


class ConntrackTests(TestCase):
    """With the real reactor, and a shell script on PATH."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls = self.folder / "calls"
        self.conntrack = Conntrack(REACTOR, {"PATH": f"{folder.name}:{os.environ['PATH']}"}, interval=0.3)

    def script(self, text: str) -> None:
        """What the program does after it has noted how it was called, and when."""
        program = self.folder / "conntrack"
        program.write_text(f'#!/bin/sh\necho "$(date +%s.%N) $*" >> {self.calls}\n{text}\n')
        program.chmod(0o755)

    def lists(self, *addresses: str) -> None:
        """Have it list a connection that each address answers."""
        listing = self.folder / "listing"
        listing.write_text("".join(LINE.format("ESTABLISHED", address) for address in addresses))
        self.script(f"cat {listing}")

    def fails(self, message: str) -> None:
        """Have it fail."""
        self.script(f"echo '{message}' >&2; exit 1")

    @property
    def commands(self) -> list[str]:
        """How it was called so far."""
        if not self.calls.exists():
            return []
        return [line.partition(" ")[2] for line in self.calls.read_text().splitlines()]

    async def until_called(self, times: int) -> None:
        """Wait until it was called so often."""
        deadline = time.monotonic() + 60
        while len(self.commands) < times:
            assert time.monotonic() < deadline, "not within time"
            await sleep(REACTOR, 0.01)

    # -- listings

    async def test_a_version_with_several_addresses_is_counted_at_all_of_them(self) -> None:
        self.lists(ONE, ONE, TWO, THREE)
        self.assertEqual(await self.conntrack.count({ONE, THREE}), 3)
        self.assertEqual(self.commands, ["-L -p tcp"])

    async def test_all_who_ask_together_share_a_listing(self) -> None:
        self.lists(ONE, ONE, TWO)
        counts = [Deferred.fromCoroutine(self.conntrack.count([address])) for address in (ONE, TWO, THREE)]
        self.assertEqual(await gatherResults(counts), [2, 1, 0])
        self.assertEqual(len(self.commands), 1)

    async def test_a_listing_that_had_started_before_is_not_for_the_one_who_asks(self) -> None:
        self.script("sleep 0.1; exit 0")
        first = Deferred.fromCoroutine(self.conntrack.count([ONE]))
        await self.until_called(1)
        self.lists(ONE)
        second = Deferred.fromCoroutine(self.conntrack.count([ONE]))
        self.assertEqual(await gatherResults([first, second]), [0, 1])

    async def test_who_only_looks_gets_the_last_listing_if_it_is_new(self) -> None:
        self.lists(ONE)
        self.assertEqual(await self.conntrack.count_lately([ONE]), 1)
        self.lists(ONE, ONE)
        self.assertEqual([await self.conntrack.count_lately([one]) for one in (ONE, TWO)], [1, 0])
        self.assertEqual(len(self.commands), 1)
        await sleep(REACTOR, 0.31)
        self.assertEqual(await self.conntrack.count_lately([ONE]), 2)

    async def test_a_listing_that_failed_is_not_used_again(self) -> None:
        self.fails(BUSY)
        self.assertIsNone(await self.conntrack.count_lately([ONE]))
        self.lists(ONE)
        self.assertEqual(await self.conntrack.count_lately([ONE]), 1)

    async def test_listings_start_no_sooner_after_one_another_than_is_allowed(self) -> None:
        self.lists(ONE)
        for _ in range(4):
            await self.conntrack.count([ONE])
        starts = [float(line.partition(" ")[0]) for line in self.calls.read_text().splitlines()]
        # The script takes a moment to note the time, which may differ.
        self.assertGreater(starts[-1] - starts[0], 3 * 0.3 - 0.1)

    async def test_a_cancel_frees_the_one_who_waits_and_the_others_go_on(self) -> None:
        self.script("sleep 0.2; exit 0")
        first = Deferred.fromCoroutine(self.conntrack.count([ONE]))
        second = Deferred.fromCoroutine(self.conntrack.count([ONE]))
        await self.until_called(1)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(await second, 0)

    async def test_the_cancel_of_the_last_one_ends_the_program(self) -> None:
        self.script("exec sleep 60")
        counts = [Deferred.fromCoroutine(self.conntrack.count([ONE])) for _ in range(2)]
        await self.until_called(1)
        for count in counts:
            count.cancel()
            with self.assertRaises(CancelledError):
                await count
        self.assertEqual(process.reapProcessHandlers, {})
        self.lists(ONE)
        self.assertEqual(await self.conntrack.count([ONE]), 1)

    async def test_a_listing_without_waiters_does_not_start(self) -> None:
        self.lists()
        await self.conntrack.count([ONE])
        count = Deferred.fromCoroutine(self.conntrack.count([ONE]))
        count.cancel()
        with self.assertRaises(CancelledError):
            await count
        await sleep(REACTOR, 0.4)
        self.assertEqual(len(self.commands), 1)

    # -- failures

    async def test_a_first_failure_of_the_moment_is_not_the_end_of_counting(self) -> None:
        self.fails(BUSY)
        await self.conntrack.check()
        self.lists(ONE)
        self.assertEqual(await self.conntrack.count([ONE]), 1)

    async def test_a_program_that_cannot_be_started_now_may_start_later(self) -> None:
        self.script("")
        (self.folder / "conntrack").write_bytes(b"\x7fELF and no more")
        self.assertIsNone(await self.conntrack.count([ONE]))
        self.lists(ONE)
        self.assertEqual(await self.conntrack.count([ONE]), 1)

    async def test_without_permission_it_is_not_tried_again(self) -> None:
        self.fails(NOT_PERMITTED)
        await self.conntrack.check()
        self.lists(ONE)
        self.assertIsNone(await self.conntrack.count([ONE]))
        self.assertEqual(len(self.commands), 1)

    async def test_without_the_program_it_is_not_tried_again(self) -> None:
        conntrack = Conntrack(REACTOR, {"PATH": str(self.folder)})
        self.assertIsNone(await conntrack.count([ONE]))
        self.lists(ONE)
        self.assertIsNone(await conntrack.count([ONE]))
        self.assertEqual(self.commands, [])

    # -- forgetting

    async def test_what_was_never_answered_is_forgotten_for_each_address(self) -> None:
        self.fails("conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.")
        await self.conntrack.forget_unanswered([ONE, TWO])
        self.assertEqual(self.commands, [f"-D -p tcp --reply-src {address} --state SYN_SENT" for address in (ONE, TWO)])

    async def test_the_connections_of_each_address_are_listed_to_forget_the_finished_ones(self) -> None:
        self.lists()
        await self.conntrack.forget_finished([ONE, TWO])
        self.assertEqual(self.commands, [f"-L -p tcp --reply-src {address}" for address in (ONE, TWO)])

    async def test_attempts_are_looked_for_only_if_a_port_is_published(self) -> None:
        self.lists()
        await self.conntrack.forget_misrouted([], [ONE])
        self.assertEqual(self.commands, [])
        await self.conntrack.forget_misrouted([HOST], [ONE])
        self.assertEqual(self.commands, ["-L -p tcp"])

    async def test_finished_connections_that_cannot_be_listed_are_left(self) -> None:
        self.fails(BUSY)
        await self.conntrack.forget_finished([ONE])
        self.assertEqual(len(self.commands), 1)

    async def test_forgetting_fails_for_no_reason_at_all(self) -> None:
        (self.folder / "conntrack").write_bytes(b"\x7fELF and no more")
        (self.folder / "conntrack").chmod(0o755)
        await self.conntrack.forget_unanswered([ONE])
