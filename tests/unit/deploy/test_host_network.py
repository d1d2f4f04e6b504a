"""An app that listens on the host's own ports: no rules route to it, or say which version serves."""

from __future__ import annotations

import socket
from typing import Any

from hanoverd.spec.container import NETWORK_MODE, ContainerSpec
from hanoverd.spec.ports import ContainerPort
from tests.fakes.world import Daemon, until
from tests.unit.deploy.test_adoption import IMPATIENT, AdoptionCase


def free_port() -> int:
    """A port of this host that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class HostNetworkTests(AdoptionCase):
    def setUp(self) -> None:
        super().setUp()
        self.port = free_port()

    def on_host(self, **options: Any) -> dict[str, Any]:
        """The options of an app on the host's network."""
        spec = ContainerSpec(ports=(ContainerPort(self.port),), settings={NETWORK_MODE: "host"})
        return {"ports": (), "container": spec, "overlap": False, **options}

    async def live_on_host(self, **options: Any) -> Daemon:
        """An app that is live."""
        daemon = self.world.daemon(**self.on_host(**options))
        daemon.start()
        await daemon.live("app-0")
        return daemon

    async def test_a_handover_replaces_one_version_by_the_next(self) -> None:
        daemon = await self.live_on_host()
        daemon.trigger("again")
        await daemon.live("app-1")
        await daemon.at_rest()
        await until(lambda: self.world.state() == (["app-1"], ["app-1"], []))

    async def test_the_version_that_runs_is_taken_over(self) -> None:
        daemon = await self.live_on_host(keep=True)
        await daemon.stop()
        daemon = await self.restarted(**self.on_host())
        self.assertEqual(daemon.live_name, "app-0")
        self.assertEqual(self.world.state(), (["app-0"], ["app-0"], []))

    async def test_so_is_one_that_is_not_ready_as_nothing_else_serves(self) -> None:
        daemon = await self.live_on_host(keep=True)
        await daemon.stop()
        self.world.engine.containers["app-0"].env["STATUS"] = "500"
        daemon = await self.restarted(**self.on_host(limits=IMPATIENT))
        self.assertEqual(daemon.live_name, "app-0")
        self.assertTrue(self.world.has_logged("adopted_unready", version="app-0"))

    async def test_a_port_that_another_program_has_fails_the_version(self) -> None:
        with socket.create_server(("127.0.0.1", self.port)):
            daemon = self.world.daemon(**self.on_host())
            daemon.start()
            await until(lambda: daemon.outcomes() == [("start", "failed")])
        failed = next(event for event in self.world.events if event.id == "failed")
        self.assertIn(f"port {self.port} at 127.0.0.1 is in use", failed["error"])

    async def test_it_serves_until_the_first_handover_where_the_app_now_has_a_network_of_its_own(self) -> None:
        daemon = await self.live_on_host(keep=True)
        await daemon.stop()
        daemon = await self.restarted()
        # It serves until the first handover, which has failed.
        self.assertEqual(daemon.live_name, "app-0")
        self.assertEqual(daemon.app.routes.describe(daemon.app.routes.live[0]), "it listens on the host's own ports")
