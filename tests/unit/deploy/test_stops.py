"""A stop finishes, whenever it comes, and leaves nothing, or what serves."""

from __future__ import annotations

from twisted.internet.threads import blockingCallFromThread

from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import sleep
from tests.fakes.world import REACTOR, Daemon, until
from tests.unit.deploy.scenario import BEFORE, LONG, ScenarioCase, complain, start, streams_that_can_be_cut

#: More requests than adoption makes.
MANY = 40


class DeathTests(ScenarioCase):
    """The live version exits while another one drains, and the stop comes soon after."""

    async def test_after_4_milliseconds(self) -> None:
        await self.stop_after(0.004)

    async def test_after_30_milliseconds(self) -> None:
        await self.stop_after(0.030)

    async def test_after_60_milliseconds(self) -> None:
        await self.stop_after(0.060)

    async def test_after_100_milliseconds(self) -> None:
        await self.stop_after(0.100)

    async def stop_after(self, seconds: float) -> None:
        self.world.keep_busy()
        daemon = await self.started(restart="always", drain=LONG)
        await self.replace(daemon, "app-1")
        self.world.kill("app-1")
        await until(lambda: daemon.live_name != "app-1")
        await sleep(REACTOR, seconds)
        await daemon.stop()
        self.assert_nothing_left()


class AdoptionTests(ScenarioCase):
    """A stop at the k-th request that the engine gets during adoption, for every k."""

    async def test_with_on_exit_keep_the_version_that_serves_goes_on(self) -> None:
        await self.left_running()
        for k in range(MANY):
            daemon, was_adopting = await self.stopped_at(k, keep=True)
            await daemon.stop()
            if not was_adopting:
                break
            self.assert_alone("app-0")
        self.assertGreater(k, 3)

    async def test_without_it_nothing_is_left(self) -> None:
        for k in range(MANY):
            self.world.forget_numbers()
            await self.left_running()
            self.assertEqual(self.world.engine.running(), ["app-0"])
            daemon, was_adopting = await self.stopped_at(k, keep=False)
            await daemon.stop()
            self.assert_nothing_left()
            if not was_adopting:
                break
        self.assertGreater(k, 3)

    async def test_a_stop_while_it_changes_the_rules_is_heard_at_once(self) -> None:
        await self.left_running()
        self.world.write_app(STATUS="503")
        daemon = self.world.daemon(keep=True, status_timeout=LONG)
        stops: list[Outcome[None]] = []
        route = daemon.app.routes._firewall.route

        async def stopped_while_routing(*arguments: object) -> None:
            REACTOR.callLater(0, lambda: stops.append(Outcome(start(daemon.stop(within=5)))))
            # The stop comes before the rules are changed.
            await shielded(sleep(REACTOR, 0.05))
            await route(*arguments)  # type: ignore[arg-type]

        self.patch(daemon.app.routes._firewall, "route", stopped_while_routing)
        daemon.start()
        await until(lambda: stops and stops[0].is_settled)
        stops[0].get()
        self.assert_alone("app-0")

    async def stopped_at(self, k: int, *, keep: bool) -> tuple[Daemon, bool]:
        """A daemon that was stopped at its request number ``k``, and whether it was adopting then."""
        daemon = self.world.daemon(keep=keep)
        first = len(self.world.engine.requests)
        stops: list[tuple[bool, object]] = []

        def stop() -> None:
            stops.append((daemon.orchestrator.state.is_adopting, start(daemon.stop())))

        def hook(number: int, when: str, _what: str) -> None:
            if number >= first + k and when == BEFORE and not stops:
                blockingCallFromThread(REACTOR, stop)

        self.world.engine.on_request = hook
        daemon.start()
        await until(lambda: stops)
        self.world.engine.on_request = lambda *_: None
        return daemon, stops[0][0]


class DrainSignalTests(ScenarioCase):
    async def test_a_version_that_is_replaced_twice_while_the_first_signal_is_slow_is_retired(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(drain=0.5, drain_signal="SIGUSR1")
        gate = self.gate("POST /containers/app-0/kill")
        await self.replace(daemon, "app-1")
        await until(lambda: gate.is_reached)
        self.world.kill("app-1")
        await daemon.live("app-0")
        await self.replace(daemon, "app-2")
        gate.open()
        await self.alone("app-2")
        await daemon.stop()
        self.assert_nothing_left()


class UnhealthyTests(ScenarioCase):
    """A live version that is not well is replaced, and a trigger comes just then."""

    async def test_with_a_version_that_can_return(self) -> None:
        for seconds in (0, 0.005, 0.3):
            self.world.forget_numbers()
            daemon = await self.started(restart="always", settle=LONG)
            await self.replace(daemon, "app-1")
            complain(daemon, 1)
            await sleep(REACTOR, seconds)
            await self.replace(daemon, "app-2")
            for draining in (0, 1):
                daemon.app.retirement.end_drain(draining)
            await self.alone("app-2")
            await daemon.stop()
            self.assert_nothing_left()


class ForkTests(ScenarioCase):
    """One program could not be started: nothing hangs."""

    async def test_where_the_rules_are_checked(self) -> None:
        daemon = await self.started(restart="always")
        with self.one_fork_fails("iptables-save") as failed:
            await until(lambda: failed)
        self.flush()
        await until(lambda: self.world.routed_versions == ["app-0"])
        await daemon.stop()
        self.assert_nothing_left()

    async def test_where_connections_are_counted(self) -> None:
        self.world.keep_busy()
        daemon = await self.started(drain=LONG)
        with self.one_fork_fails("conntrack") as failed:
            await self.replace(daemon, "app-1")
            await until(lambda: failed)
        self.world.conntrack("exit 0")
        await self.alone("app-1")

    async def test_in_a_flip(self) -> None:
        daemon = await self.started(restart="always")
        await daemon.app.reconciler.stop()
        self.world.write_app(BUILD="b")
        with self.one_fork_fails("iptables-restore") as failed:
            daemon.trigger("second")
            await until(lambda: failed)
            await daemon.at_rest()
        await self.alone(str(daemon.live_name))

    async def test_at_a_death(self) -> None:
        daemon = await self.started(restart="always")
        with self.one_fork_fails("iptables-save") as failed:
            self.world.kill("app-0")
            await until(lambda: failed)
        await daemon.live("app-1")
        await self.alone("app-1")


class EngineTests(ScenarioCase):
    async def test_an_error_of_the_engine_says_nothing_of_the_container(self) -> None:
        with streams_that_can_be_cut() as cutting:
            daemon = await self.started(restart="always")
            refused = self.refuse_once("POST /containers/app-0/wait")
            cutting.set()
            await until(lambda: refused)
            cutting.clear()
            waits = self.world.engine.requests.count(refused[0])
            await until(lambda: self.world.engine.requests.count(refused[0]) > waits)
            self.assertEqual(daemon.live_name, "app-0")
            self.assert_alone("app-0")
            self.world.kill("app-0")
            await daemon.live("app-1")


class RenameTests(ScenarioCase):
    """The live container was renamed by hand."""

    async def test_when_it_is_replaced_it_is_stopped_and_removed(self) -> None:
        daemon = await self.started()
        self.rename("app-0", "web-old")
        await self.replace(daemon, "app-1")
        await self.alone("app-1")

    async def test_a_stop_removes_it(self) -> None:
        daemon = await self.started()
        self.rename("app-0", "web-old")
        await daemon.stop()
        self.assert_nothing_left()

    def rename(self, old: str, new: str) -> None:
        engine = self.world.engine
        with engine.lock:
            container = engine.containers[new] = engine.containers.pop(old)
            container.name = new
