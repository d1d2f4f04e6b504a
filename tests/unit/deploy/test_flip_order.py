"""Flips happen one after the other: each knows what the one before it has changed."""

from __future__ import annotations

from typing import Any

from hanoverd.network.routes import Flip, Routes
from hanoverd.versions.version import Ready
from tests.unit.deploy.dummies import Calls, Result, running


class DummyFirewall(Calls):
    """Routes as soon as a test answers."""

    async def route(self, name: str, routes: object) -> None:
        await self.call(f"route {name}")

    async def clear(self) -> None:
        await self.call("clear")


class DummyFlows:
    """Without UDP ports."""

    def set_live(self, _running: object, _routes: object = ()) -> None:
        """Know the live version."""

    serving: frozenset[str] = frozenset()

    async def move_stale(self) -> None:
        """Move nothing."""

    async def forget_misrouted(self, _ports: object, _kept: object) -> None:
        """Forget nothing."""


class Parts:
    """Routes without ports, and what happened in its order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.firewall = DummyFirewall(self.events)
        firewall: Any = self.firewall
        flows: Any = DummyFlows()
        self.routes = Routes(firewall, [], flows, flows, flows)

    def flip(self, number: int, *, may: bool = True) -> Result:
        def may_go_live() -> bool:
            self.events.append(f"may {number} go live?")
            return may

        def flipped(flip: Flip) -> None:
            replaced = ",".join(str(live.number) for live in flip.replaced)
            self.events.append(f"flipped to {number} from {replaced}")

        return Result(self.routes.flip(Ready(running(number)), may_go_live, flipped))


def test_a_flip_is_known_before_the_next_one_is_decided() -> None:
    it = Parts()
    it.flip(1)
    it.flip(2)
    it.firewall.answer("route app-1")
    assert it.events == ["may 1 go live?", "route app-1", "flipped to 1 from ", "may 2 go live?", "route app-2"]
    it.firewall.answer("route app-2")
    assert it.events[5:] == ["flipped to 2 from 1"]


def test_a_version_that_may_not_go_live_changes_nothing() -> None:
    it = Parts()
    result = it.flip(1, may=False)
    assert (result.values, it.events, it.routes.live) == ([None], ["may 1 go live?"], ())


def test_a_flip_that_fails_is_not_reported_and_lets_the_next_one_happen() -> None:
    it = Parts()
    result = it.flip(1)
    it.flip(2)
    it.firewall.answer("route app-1", OSError("no iptables"))
    assert result.values == [OSError]
    assert it.events == ["may 1 go live?", "route app-1", "may 2 go live?", "route app-2"]


def test_a_flip_ignores_cancellation() -> None:
    it = Parts()
    result = it.flip(1)
    result.work.cancel()
    it.firewall.answer("route app-1")
    assert it.events[-1] == "flipped to 1 from "
    [flip] = result.values
    assert isinstance(flip, Flip)


def test_the_routes_of_a_version_that_was_replaced_are_gone_already() -> None:
    it = Parts()
    it.flip(1)
    it.firewall.answer("route app-1")
    it.events.clear()
    assert Result(it.routes.unroute(2)).values == [None]
    assert it.events == []
    result = Result(it.routes.unroute(1))
    it.firewall.answer("clear")
    assert (result.values, it.routes.live) == ([None], ())
