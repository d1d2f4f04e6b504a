"""How the engine is set up, from its answer to ``GET /info``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hanoverd.docker.address import EngineAddress
from hanoverd.docker.preflight import ask_setup
from hanoverd.spec.engine_setup import EngineSetup
from tests.fakes.engine import FakeEngine


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    fake = FakeEngine(tmp_path)
    fake.start()
    yield fake
    fake.stop()


def asked(engine: FakeEngine) -> EngineSetup:
    """Ask it."""
    return ask_setup(EngineAddress(f"unix://{engine.socket}", None, "the test"), "1.49")


@pytest.mark.parametrize(
    ("info", "expected", "uses_nftables"),
    [
        ({"ServerVersion": "20.10.24"}, EngineSetup("20.10.24", ""), False),
        (
            {"ServerVersion": "28.5.2", "FirewallBackend": {"Driver": "iptables"}},
            EngineSetup("28.5.2", "iptables"),
            False,
        ),
        (
            {"ServerVersion": "29.1.0", "FirewallBackend": {"Driver": "nftables"}},
            EngineSetup("29.1.0", "nftables"),
            True,
        ),
        ({"FirewallBackend": {"Driver": "nftables+firewalld"}}, EngineSetup("", "nftables+firewalld"), True),
        ({"FirewallBackend": None}, EngineSetup(), False),
    ],
    ids=["20.10", "28.5", "nftables", "firewalld", "empty"],
)
def test_what_it_says(engine: FakeEngine, info: dict[str, object], expected: EngineSetup, uses_nftables: bool) -> None:
    engine.info = info
    assert asked(engine) == expected
    assert expected.uses_nftables is uses_nftables


def test_nothing_is_known_of_one_that_a_proxy_does_not_let_say(engine: FakeEngine) -> None:
    engine.info = None
    assert asked(engine) == EngineSetup()
