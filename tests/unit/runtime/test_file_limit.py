"""The limit of open files."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from hanoverd.runtime.file_limit import raise_file_limit


@pytest.fixture
def maximum() -> Iterator[int]:
    """The system's maximum; the limit is 256 at the start of the test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_it_is_raised_to_what_is_wanted_and_never_lowered(maximum: int) -> None:
    assert (raise_file_limit(300), limit()) == (300, 300)
    assert (raise_file_limit(280), limit()) == (300, 300)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == maximum


def test_it_is_raised_no_further_than_the_system_allows(maximum: int) -> None:
    assert (raise_file_limit(2**40), limit()) == (maximum, maximum)


def test_without_a_wish_it_is_the_systems_maximum(maximum: int) -> None:
    assert (raise_file_limit(), limit()) == (maximum, maximum)
