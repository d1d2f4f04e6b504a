"""Which pushes move a branch forward."""

from __future__ import annotations

import hashlib
import tracemalloc
from itertools import count

import pytest

from hanoverd.hookbot.github import Push
from hanoverd.hookbot.pushes import PushMemory
from hanoverd.runtime.refusal import Refused

START = 1_700_000_000.0
A, B, C, D = (letter * 40 for letter in "abcd")
NUMBERS = count()


def push(before: str, after: str, at: float, branch: str = "main") -> Push:
    """A push of which there is no copy."""
    return Push("me/app", branch, before, after, START + at, "me", hashlib.sha256(str(next(NUMBERS)).encode()).digest())


class Memory:
    """A memory, with a clock that follows the pushes."""

    def __init__(self, most: int = 100) -> None:
        self.memory = PushMemory(START, most)

    def accepts(self, pushed: Push, delay: float = 1.0) -> bool:
        """Whether a push is accepted ``delay`` seconds after it was pushed."""
        try:
            self.memory.accept(pushed, pushed.pushed_at + delay)
        except Refused:
            return False
        return True


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_pushes_in_order_are_accepted_also_within_one_second(memory: Memory) -> None:
    assert all(memory.accepts(push(*commits, 5)) for commits in ((A, B), (B, C), (C, D)))


def test_branches_do_not_affect_each_other(memory: Memory) -> None:
    assert memory.accepts(push(A, B, 10))
    assert memory.accepts(push(A, C, 5, "other"))


def test_a_push_after_one_that_was_lost_is_accepted(memory: Memory) -> None:
    assert memory.accepts(push(A, B, 5))
    assert memory.accepts(push(C, D, 6))


def test_a_forced_push_to_an_older_commit_is_accepted_and_cannot_be_undone_by_a_copy(memory: Memory) -> None:
    forward = push(B, C, 6)
    assert memory.accepts(push(A, B, 5))
    assert memory.accepts(forward)
    assert memory.accepts(push(C, B, 7))
    # It starts at the branch's commit, B, but it is a copy.
    assert not memory.accepts(forward, delay=2)


def test_a_forced_push_in_the_same_second_is_accepted(memory: Memory) -> None:
    assert all(memory.accepts(push(*commits, 5)) for commits in ((A, B), (B, C), (C, B)))


def test_a_push_that_is_overtaken_is_refused(memory: Memory) -> None:
    assert memory.accepts(push(B, C, 6))
    assert not memory.accepts(push(A, B, 5), delay=10)


def test_a_push_that_is_overtaken_within_one_second_is_refused(memory: Memory) -> None:
    assert memory.accepts(push(B, C, 5))
    assert memory.accepts(push(C, D, 5))
    assert not memory.accepts(push(A, B, 5))


def test_two_webhooks_for_one_push_are_one_push(memory: Memory) -> None:
    assert memory.accepts(push(A, B, 5))
    assert not memory.accepts(push(A, B, 5))


def test_times_from_different_clocks_may_differ_by_a_minute(memory: Memory) -> None:
    assert memory.accepts(push(A, B, 65))
    assert memory.accepts(push(B, C, 10))
    assert not memory.accepts(push(C, D, 4), delay=100)


def test_a_deleted_branch_can_be_created_again(memory: Memory) -> None:
    none = "0" * 40
    assert all(memory.accepts(push(*commits)) for commits in ((A, B, 5), (B, none, 6), (none, B, 7)))


def test_age_is_limited(memory: Memory) -> None:
    assert memory.accepts(push(A, B, 5), delay=2 * 24 * 3600)
    assert not memory.accepts(push(B, C, 10), delay=4 * 24 * 3600)
    assert not memory.accepts(push(B, C, 1e6), delay=-7200)


def test_before_the_start_it_is_an_hour(memory: Memory) -> None:
    assert not memory.accepts(push(A, B, -10), delay=3700)
    assert memory.accepts(push(A, B, -10), delay=3500)


def test_what_is_forgotten_counts_as_before_the_start() -> None:
    memory = Memory(most=3)
    first = push(A, B, 0, "first")
    assert memory.accepts(first)
    for number in range(4):
        assert memory.accepts(push(A, B, 10, str(number)))
    # Still within the hour, so the copy is accepted once more; later it is not.
    assert not memory.accepts(first, delay=3700)


def test_memory_is_bounded() -> None:
    memory = Memory(most=200)
    tracemalloc.start()
    try:
        for number in range(1000):
            memory.accepts(push(A, B, number, f"branch {number}"))
        first = tracemalloc.get_traced_memory()[0]
        for number in range(1000, 5000):
            memory.accepts(push(A, B, number, f"branch {number}"))
        for number in range(5000):
            memory.accepts(push(f"{number:040}", f"{number + 1:040}", 6000, "busy"))
        assert tracemalloc.get_traced_memory()[0] - first < 100_000
    finally:
        tracemalloc.stop()
