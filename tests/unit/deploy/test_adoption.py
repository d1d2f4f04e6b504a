"""A hanoverd that starts adopts the versions that an earlier one left."""

from __future__ import annotations

from typing import Any

from hanoverd.deploy.events import Paused, Resumed
from hanoverd.deploy.state import Role
from hanoverd.deploy.time_limits import TimeLimits
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.volumes import Volumes
from tests.fakes.world import PORT, Daemon, until
from tests.unit.deploy.scenario import LONG, ScenarioCase, role

#: A version that serves and is not ready is soon found out.
IMPATIENT = TimeLimits(adoption_ready=0.2, last_output=0.05)


class AdoptionCase(ScenarioCase):
    async def restarted(self, **options: Any) -> Daemon:
        """The next hanoverd, whose own first handover has failed: only what it took over can serve."""
        self.world.break_app()
        daemon = self.world.daemon(keep=True, **options)
        daemon.start()
        await until(lambda: daemon.outcomes() == [("start", "failed")])
        return daemon


class LiveTests(AdoptionCase):
    async def test_a_version_with_a_second_network_goes_on(self) -> None:
        await self.left_running()
        self.world.engine.containers["app-0"].more_addresses = {"backend": "172.30.0.9"}
        daemon = await self.restarted()
        self.assertEqual(daemon.live_name, "app-0")
        self.assert_alone("app-0")

    async def test_where_the_rules_were_flushed_its_labels_say_what_it_is(self) -> None:
        await self.left_running()
        self.flush()
        daemon = await self.restarted()
        self.assertEqual(daemon.live_name, "app-0")
        self.assert_alone("app-0")

    async def test_where_no_port_is_published_too(self) -> None:
        daemon = self.world.daemon(keep=True, ports=())
        daemon.start()
        await until(lambda: daemon.live_name)
        await daemon.stop()
        daemon = await self.restarted(ports=())
        self.assertEqual(daemon.live_name, "app-0")
        self.assertEqual(self.world.state(), (["app-0"], ["app-0"], []))

    async def test_of_several_one_that_is_not_ready_is_not_chosen(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(keep=True, drain=LONG)
        await self.replace(daemon, "app-1")
        await daemon.stop()
        self.flush()
        self.falls_ill("app-1")
        daemon = await self.restarted(drain=LONG, limits=IMPATIENT)
        self.assertEqual(daemon.live_name, "app-0")

    async def test_a_failure_of_the_firewall_is_of_the_moment(self) -> None:
        await self.left_running()
        self.world.firewall.fail("iptables-save")
        self.world.break_app()
        daemon = self.world.daemon(keep=True)
        daemon.start()
        await until(lambda: self.world.has_logged("adoption_failed"))
        self.world.firewall.fail("iptables-save", fails=False)
        await daemon.live("app-0")
        await until(lambda: daemon.outcomes() == [("start", "failed")])
        self.assert_alone("app-0")


class FallbackTests(AdoptionCase):
    """What serves, and is not what is wanted now, serves until there is better."""

    async def test_a_version_without_all_ports_serves_until_the_first_flip(self) -> None:
        await self.left_running()
        daemon = await self.restarted(ports=(PORT, PORT + 1))
        self.assertEqual(daemon.live_name, "app-0")
        self.assert_alone("app-0")
        await daemon.stop()
        self.assert_alone("app-0")

    async def test_one_that_is_not_ready_serves_and_is_not_taken_for_ready(self) -> None:
        daemon = await self.fallback()
        self.assertFalse(daemon.orchestrator.state.versions[0].is_verified)
        self.assert_alone("app-0")

    async def test_when_it_exits_it_is_restarted(self) -> None:
        daemon = await self.fallback(restart="always")
        self.world.kill("app-0")
        await until(lambda: daemon.live_name not in (None, "app-0"))
        await self.alone(str(daemon.live_name))

    async def fallback(self, **options: Any) -> Daemon:
        """A daemon whose live version is not ready."""
        await self.left_running()
        self.falls_ill("app-0")
        return await self.restarted(limits=IMPATIENT, **options)


class FormerTests(AdoptionCase):
    async def test_one_that_exits_while_it_drains_is_removed_at_once(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(keep=True, drain=LONG)
        await self.replace(daemon, "app-1")
        await daemon.stop()
        daemon = await self.restarted(drain=LONG)
        self.assertEqual(role(daemon, 0), Role.DRAINING)
        self.world.kill("app-0", 0)
        await self.alone("app-1")


class RecipeTests(AdoptionCase):
    async def test_it_is_made_from_the_same_as_when_it_was_created(self) -> None:
        options = ContainerSpec(
            command=("serve", "--all"),
            env=("WITH=a secret", "EMPTY=", "UNSET"),
            ports=(ContainerPort(PORT),),
            volumes=Volumes(("data:/data",), ("/cache",)),
            settings={
                "HostConfig.Mounts": [{"Type": "tmpfs", "Target": "/scratch"}],
                "HostConfig.Init": True,
                "StopSignal": "SIGINT",
            },
        )
        daemon = await self.started(keep=True, container=options)
        created = daemon.orchestrator.state.versions[0].recipe
        await daemon.stop()
        labels = self.world.engine.containers["app-0"].body["Labels"]
        self.assertFalse([value for value in labels.values() if "a secret" in value])
        daemon = await self.restarted(container=options)
        adopted = daemon.orchestrator.state.versions[0].recipe
        assert created is not None
        assert adopted is not None
        self.assertEqual(adopted.options, created.options)
        self.assertEqual(adopted.image.id, created.image.id)
        self.assertEqual(adopted.image.name.reference, created.image.name.reference)


class PauseTests(AdoptionCase):
    async def test_a_pause_goes_on_after_a_restart_of_hanoverd(self) -> None:
        daemon = await self.started(keep=True)
        daemon.orchestrator.send(Paused())
        await daemon.stop()
        daemon = self.world.daemon(keep=True)
        daemon.start()
        await daemon.live("app-0")
        self.assertTrue(daemon.orchestrator.state.requests.held)
        self.assertEqual(daemon.outcomes(), [])
        daemon.orchestrator.send(Resumed())
        await daemon.live("app-1")

    async def test_it_does_not_keep_an_app_down(self) -> None:
        daemon = await self.started(keep=True)
        daemon.orchestrator.send(Paused())
        await daemon.stop()
        self.world.kill("app-0")
        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-1")
        self.assertTrue(daemon.orchestrator.state.requests.is_paused)

    async def test_it_ends_with_the_app(self) -> None:
        daemon = await self.started()
        daemon.orchestrator.send(Paused())
        await daemon.stop()
        daemon = self.world.daemon()
        daemon.start()
        await daemon.live("app-1")
        self.assertFalse(daemon.orchestrator.state.requests.is_paused)
