"""A version that the engine has connected in a way in which it cannot be routed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tests.fakes.containers import FakeContainer
from tests.fakes.engine import Refusal
from tests.unit.deploy.test_adoption import AdoptionCase


class NetworkTests(AdoptionCase):
    async def assert_rejected(self, connect: Callable[[Mapping[str, FakeContainer]], object], reason: str) -> None:
        """The next version, which the engine connects by ``connect``, fails for this reason, and the live one serves on."""

        def on_request(_number: int, phase: str, what: str) -> None:
            if phase == "after" and what.endswith("/start"):
                connect(self.world.engine.containers)

        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-0")
        self.world.engine.on_request = on_request
        daemon.trigger("again")
        await daemon.at_rest()
        self.assertEqual(daemon.live_name, "app-0")
        self.assertEqual(self.world.state(), (["app-0"], ["app-0"], ["app-0"]))
        [error] = [str(event["error"]) for event in self.world.events if event.id == "failed"]
        self.assertIn(reason, error)

    async def test_an_address_that_another_version_has(self) -> None:
        def connect(containers: Mapping[str, FakeContainer]) -> None:
            containers["app-1"].more_addresses["back"] = containers["app-0"].address

        await self.assert_rejected(connect, "which app-0 has: the engine has lost track of its addresses")

    async def test_ports_that_the_engine_has_not_published(self) -> None:
        def connect(containers: Mapping[str, FakeContainer]) -> None:
            containers["app-1"].loopback_ports = {}

        await self.assert_rejected(
            connect, "the engine has not published its ports, because its network default is internal"
        )

    async def test_a_proxy_before_the_engine_that_tells_nothing_of_networks(self) -> None:
        def on_request(_number: int, phase: str, what: str) -> None:
            if phase == "before" and "/networks/" in what:
                raise Refusal(403, "Forbidden")

        self.world.engine.on_request = on_request
        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-0")
        await daemon.at_rest()
