"""Counting the connections that are under way."""

from __future__ import annotations

import pytest

from hanoverd.edges.conntrack import under_way

LINE = "tcp      6 431998 {} src=10.0.0.2 dst=10.0.0.1 sport=4 dport=8080 src=172.17.0.2 dst=10.0.0.2 sport=80 dport=4 use=1\n"


@pytest.mark.parametrize("state", ["SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT"])
def test_an_answer_may_still_come(state: str) -> None:
    assert under_way(LINE.format(state) * 2) == 2


@pytest.mark.parametrize("state", ["SYN_SENT", "LAST_ACK", "TIME_WAIT", "CLOSE"])
def test_no_answer_will_come(state: str) -> None:
    assert under_way(LINE.format(state)) == 0


def test_an_empty_listing_counts_nothing() -> None:
    assert under_way("") == 0
