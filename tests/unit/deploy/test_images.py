"""Images that are not needed any more are removed, and no other."""

from __future__ import annotations

import threading
from typing import Any

from hanoverd.runtime.clock import sleep
from tests.fakes.world import REACTOR, until
from tests.unit.deploy.scenario import AFTER, LONG, ScenarioCase, on_request

SEVERAL = 4


class RemovalTests(ScenarioCase):
    async def test_none_piles_up_without_any_drain(self) -> None:
        await self.deploy_several()

    async def test_none_piles_up_with_a_drain(self) -> None:
        await self.deploy_several(drain=0.3)

    async def test_none_piles_up_with_a_grace(self) -> None:
        await self.deploy_several(grace=0.1, drain=0.3)

    async def test_none_piles_up_without_overlap(self) -> None:
        await self.deploy_several(overlap=False, drain=0.3)

    async def deploy_several(self, **options: Any) -> None:
        daemon = await self.started(restart="always", **options)
        for number in range(1, SEVERAL):
            await self.replace(daemon, f"app-{number}")
            await self.alone(f"app-{number}")
        await until(lambda: len(self.images()) == 1, otherwise=lambda: f"there are {self.images()}")

    def images(self) -> list[str]:
        return [name for name in self.world.engine.images if name.startswith("sha256:")]


class RaceTests(ScenarioCase):
    """The image of the version before is obtained again, as for a commit that was taken back."""

    async def test_a_removal_that_has_started_is_over_before_it_is_obtained(self) -> None:
        self.world.write_app(BUILD="A")
        daemon = await self.started()
        [image] = [name for name in self.world.engine.images if name.startswith("sha256:")]
        is_removed = threading.Event()
        gate = self.gate(f"DELETE /images/{image}")
        on_request(self.world.engine, f"DELETE /images/{image}", is_removed.set, AFTER)
        await self.replace(daemon, "app-1", BUILD="B")
        await until(lambda: gate.is_reached)
        # Were it built now, it would be removed before its container is created.
        on_request(self.world.engine, "POST /build", gate.open, AFTER)
        on_request(self.world.engine, "POST /containers/create", lambda: is_removed.wait(1))
        self.world.write_app(BUILD="A")
        daemon.trigger("back to A")
        await until(lambda: daemon.orchestrator.state.deploy)
        await sleep(REACTOR, 0.2)
        gate.open()
        await daemon.live("app-2")

    async def test_it_is_not_removed_as_long_as_its_container_is_not_created(self) -> None:
        self.world.keep_busy()
        self.world.write_app(BUILD="A")
        daemon = await self.started(drain=LONG)
        await self.replace(daemon, "app-1", BUILD="B")
        gate = self.gate("POST /containers/create")
        self.world.write_app(BUILD="A")
        daemon.trigger("back to A")
        await until(lambda: gate.is_reached)
        looks = self.looks()
        self.world.conntrack("exit 0")
        await until(lambda: "app-0" not in self.world.engine.containers and self.looks() > looks + 1)
        gate.open()
        await daemon.live("app-2")

    def looks(self) -> int:
        """How often the images were looked at."""
        return sum(what.startswith("GET /images/sha256:") for what in self.world.engine.requests)
