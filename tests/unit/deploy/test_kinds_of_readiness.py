"""What shows that a version is ready: how a handover, an adoption and the liveness check go with each kind."""

from __future__ import annotations

from typing import Any

from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.health import ProbeSpec, StatusKind
from hanoverd.spec.status_codes import StatusCodes
from tests.fakes.world import PORT, Daemon, until
from tests.unit.deploy.scenario import LONG, ScenarioCase

DOCKER = ProbeSpec(kind=StatusKind.DOCKER, interval=0.02)


class KindTests(ScenarioCase):
    def ill(self, name: str, status: str) -> None:
        """Have a container's health check be in this state from now on."""
        self.world.engine.containers[name].env["HEALTH"] = status

    async def why(self, daemon: Daemon) -> str:
        """Deploy a version that fails, and return the reason."""
        count = len(list(daemon.app.history))
        daemon.trigger("fails")
        await until(lambda: len([one for one in daemon.app.history if one.is_over]) > count)
        record = daemon.app.history.last
        assert record is not None
        self.assertEqual(record.outcome, "failed")
        return record.why

    async def test_docker_waits_until_the_health_check_is_healthy(self) -> None:
        self.world.write_app(HEALTH="starting", STATUS="503")
        daemon = self.world.daemon(probe=DOCKER, status_timeout=LONG)
        daemon.start()
        await until(lambda: self.world.has_logged("started", version="app-0"))
        self.assertFalse(daemon.app.live())
        self.ill("app-0", "healthy")
        await daemon.live("app-0")
        await daemon.at_rest()

    async def test_docker_fails_at_once_where_the_check_is_unhealthy_or_missing(self) -> None:
        self.world.write_app(HEALTH="healthy")
        daemon = await self.started(probe=DOCKER, status_timeout=LONG)
        self.world.write_app(HEALTH="unhealthy")
        self.assertIn("not ready: its HEALTHCHECK failed: checked", await self.why(daemon))
        self.world.write_app(BUILD="without")
        self.assertIn("it has no health check for --status-kind docker", await self.why(daemon))
        # It was not even started.
        self.assertFalse(self.world.has_logged("started", version="app-2"))
        await self.alone("app-0")

    async def test_docker_without_overlap_leaves_the_live_version_where_there_is_no_check(self) -> None:
        self.world.write_app(HEALTH="healthy")
        daemon = await self.started(probe=DOCKER, status_timeout=LONG, overlap=False)
        self.world.write_app(BUILD="without")
        self.assertIn("no health check", await self.why(daemon))
        self.assertFalse(self.world.has_logged("stopped", version="app-0"))
        await self.alone("app-0")

    async def test_docker_and_none_adopt_what_serves(self) -> None:
        self.world.write_app(HEALTH="healthy")
        await self.left_running(probe=DOCKER)
        for probe in (DOCKER, ProbeSpec(kind=StatusKind.NONE)):
            daemon = self.world.daemon(probe=probe, keep=True)
            daemon.app.start()
            await daemon.live("app-0")
            await daemon.at_rest()
            await daemon.stop()
        self.assertFalse(self.world.has_logged("adopted_unready"))

    async def test_none_is_ready_without_a_port_and_fails_where_the_version_exits(self) -> None:
        options: dict[str, Any] = {"ports": (), "container": ContainerSpec(), "status_timeout": LONG}
        daemon = await self.started(probe=ProbeSpec(kind=StatusKind.NONE), **options)
        self.world.write_app(EXIT="3")
        self.assertIn("exited with code 3 before it was ready", await self.why(daemon))
        await self.alone_without_ports("app-0")

    async def alone_without_ports(self, name: str) -> None:
        """Wait until this version is the only one; no rule leads to it."""
        await until(lambda: self.world.engine.running() == [name])

    async def test_an_app_that_answers_with_a_status_that_is_ok_is_ready(self) -> None:
        self.world.write_app(STATUS="404")
        await self.started(probe=ProbeSpec(ok=StatusCodes.parse("200-299,404")), status_timeout=LONG)

    async def test_tcp_does_not_ask_for_a_status(self) -> None:
        self.world.write_app(STATUS="503")
        await self.started(probe=ProbeSpec(kind=StatusKind.TCP), status_timeout=LONG)

    async def test_the_port_that_is_asked_need_not_be_published(self) -> None:
        self.world.write_app(STATUS="503")
        daemon = self.world.daemon(probe=ProbeSpec(port=PORT + 1), status_timeout=1)
        daemon.start()
        await until(lambda: self.world.has_logged("failed", version="app-0"))
        record = daemon.app.history.last
        assert record is not None
        # That the published port accepts connections is enough there.
        self.assertIn(f"port {PORT}: accepts connections; port {PORT + 1}: ", record.why)
        self.assertIn("refused", record.why)

    async def test_the_liveness_check_of_docker_looks_at_the_health_check_alone(self) -> None:
        self.world.write_app(HEALTH="healthy", STATUS="503")
        daemon = await self.started(probe=DOCKER, watch=0.05, restart="always", status_timeout=LONG)
        self.ill("app-0", "unhealthy")
        await daemon.live("app-1")
        self.assertFalse(self.world.has_logged("unhealthy", version="app-1"))

    async def test_so_many_successes_in_a_row_are_needed_for_an_adoption_too(self) -> None:
        probe = ProbeSpec(successes=3, interval=0.05)
        await self.left_running(probe=probe)
        daemon = self.world.daemon(probe=probe)
        daemon.app.start()
        await daemon.live("app-0")
        await daemon.at_rest()
        self.assertTrue(self.world.has_logged("adopted", version="app-0"))
