"""What hanoverd relies on in a Docker engine."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from hanoverd.docker.address import EngineAddress
from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import recipe_of
from hanoverd.docker.pools import Pools
from hanoverd.images.folder import FolderSource
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import Conflict, EngineRefused, EngineUnreachable, NotFound, ObtainFailed, OperationFailed
from hanoverd.spec.container import DEFAULT_NETWORK, GIVEN, ContainerSpec, Image, Recipe, app_label, create_body
from hanoverd.spec.image_name import ImageName, built_name
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.volumes import Volumes
from tests.fakes.source_context import source_context
from tests.lab.images import BASE, write_app

REACTOR: Any = reactor
APP = "contract"
NAME = "contract-0"


class EngineContract(TestCase):
    """To be derived from: set ``url`` and ``port`` (of the app), then ``begin``."""

    url: str
    port: int

    def begin(self) -> None:
        """An engine at ``url``, and a folder of an app."""
        self.pool = Pools.of(20, 20, 20)
        self.pool.start()
        self.addCleanup(self.pool.stop)
        self.engine = Engine(REACTOR, self.pool, EngineAddress(self.url, None, "the test"))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        write_app(self.folder, expose=[self.port], env={"PORTS": str(self.port)})
        self.addCleanup(lambda: Deferred.fromCoroutine(self.engine.remove(NAME)))

    async def image(self) -> Image:
        """The image of the app."""
        return await FolderSource(".", source_context(REACTOR, self.engine, self.folder, APP)).obtain(lambda line: None)

    async def create(self, **env: str) -> None:
        """A container of the app, not started."""
        options = ContainerSpec(
            env=tuple(f"{name}={value}" for name, value in env.items()), ports=(ContainerPort(self.port),)
        )
        await self.engine.create(NAME, create_body(APP, 0, NAME, Recipe(await self.image(), options)))

    async def state(self) -> Mapping[str, Any]:
        """What the engine says of the container."""
        found: Mapping[str, Any] = (await self.engine.inspect_container(NAME))["State"]
        return found

    async def fails(self, kind: type[Exception], work: Any) -> str:
        """The message with which ``work`` fails, which must be a ``kind``."""
        try:
            await work
        except kind as error:
            self.assertEqual(type(error), kind)
            return str(error)
        raise AssertionError(f"it did not fail with {kind}")

    async def until(self, holds: Any) -> None:
        """Wait for it."""
        for _ in range(3000):
            if await holds():
                return
            await sleep(REACTOR, 0.02)
        raise AssertionError("not within a minute")

    # -- what there is

    async def test_it_names_the_api_versions_that_it_speaks(self) -> None:
        version = await self.engine.negotiate()
        self.assertTrue({"ApiVersion", "MinAPIVersion", "Version"} <= set(version))

    async def test_an_image_that_is_not_there(self) -> None:
        said = await self.fails(NotFound, self.engine.inspect_image("missing/image:tag"))
        self.assertIn("No such image: missing/image:tag", said)

    async def test_a_container_that_is_not_there(self) -> None:
        for work in (
            self.engine.inspect_container(NAME),
            self.engine.start(NAME),
            self.engine.wait(NAME),
            self.engine.kill(NAME, "SIGTERM"),
            self.engine.follow_output(NAME, None, lambda data: None),
        ):
            await self.fails(NotFound, work)

    async def test_stopping_and_removing_what_is_not_there_is_no_failure(self) -> None:
        await self.engine.stop(NAME, 1)
        await self.engine.remove(NAME)

    # -- builds

    async def test_a_build_gives_the_image_with_its_exposed_ports(self) -> None:
        image = await self.image()
        self.assertEqual(image.ports, (ContainerPort(self.port),))
        self.assertEqual((await self.engine.inspect_image(image.id))["Id"], image.id)
        self.assertEqual((await self.engine.inspect_image(built_name(APP).reference))["Id"], image.id)

    async def test_a_build_whose_step_fails(self) -> None:
        (self.folder / "Dockerfile").write_text(f'FROM {BASE}\nRUN ["sh", "-c", "exit 5"]\n')
        said = await self.fails(ObtainFailed, self.image())
        self.assertIn("returned a non-zero code: 5", said)

    async def test_a_dockerfile_that_does_not_parse(self) -> None:
        (self.folder / "Dockerfile").write_text("FORM scratch\n")
        self.assertIn("unknown instruction: FORM", await self.fails(ObtainFailed, self.image()))

    async def test_a_build_that_is_cancelled(self) -> None:
        (self.folder / "Dockerfile").write_text(f'FROM {BASE}\nRUN ["busybox", "sleep", "60"]\n')
        building = Deferred.fromCoroutine(self.image())
        REACTOR.callLater(0.5, building.cancel)
        await self.fails(CancelledError, building)

    async def test_a_pull_from_nowhere(self) -> None:
        with self.assertRaisesRegex((EngineRefused, OperationFailed), "connection refused"):
            await self.engine.pull("127.0.0.1:1/nothing", "v1", {}, lambda line: None)

    # -- containers

    async def test_a_container_is_created_and_not_started(self) -> None:
        await self.create()
        found = await self.engine.inspect_container(NAME)
        self.assertFalse(found["State"]["Running"])
        self.assertEqual(found["Config"]["Labels"]["hanoverd.generation"], "0")

    async def test_a_name_is_given_once(self) -> None:
        await self.create()
        await self.fails(Conflict, self.create())

    async def test_an_image_that_is_gone_is_told_by_create(self) -> None:
        image = Image(f"sha256:{'0' * 64}", ImageName("x"), ())
        await self.fails(NotFound, self.engine.create(NAME, create_body(APP, 0, NAME, Recipe(image, ContainerSpec()))))

    async def test_it_is_known_whether_a_network_has_ipv6(self) -> None:
        self.assertFalse(await self.engine.network_has_ipv6(DEFAULT_NETWORK))
        await self.fails(NotFound, self.engine.network_has_ipv6("hanoverd-no-such-network"))

    async def test_a_container_that_runs_has_an_address_and_ports_on_loopback(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        found = await self.engine.inspect_container(NAME)
        self.assertTrue(found["State"]["Running"])
        [network] = found["NetworkSettings"]["Networks"].values()
        self.assertTrue(network["IPAddress"])
        binding = found["NetworkSettings"]["Ports"][f"{self.port}/tcp"][0]
        self.assertEqual(binding["HostIp"], "127.0.0.1")
        self.assertTrue(int(binding["HostPort"]))

    async def test_to_start_twice_is_no_failure(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        await self.engine.start(NAME)

    async def test_containers_are_found_by_label_whether_they_run_or_not(self) -> None:
        self.assertEqual(await self.engine.containers_with(app_label(APP)), [])
        await self.create()
        for _ in range(2):
            [found] = await self.engine.containers_with(app_label(APP))
            self.assertEqual(found["Names"], [f"/{NAME}"])
            self.assertEqual(found["Labels"]["hanoverd.app"], APP)
            await self.engine.start(NAME)

    async def test_the_end_of_a_container_is_waited_for(self) -> None:
        await self.create(EXIT="3")
        await self.engine.start(NAME)
        self.assertEqual(await self.engine.wait(NAME), 3)
        self.assertEqual((await self.state())["ExitCode"], 3)

    async def test_a_wait_that_is_cancelled_ends(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        waiting = Deferred.fromCoroutine(self.engine.wait(NAME))
        REACTOR.callLater(0.1, waiting.cancel)
        await self.fails(CancelledError, waiting)
        self.assertTrue((await self.state())["Running"])

    async def test_its_output_is_followed_to_its_end(self) -> None:
        await self.create(EXIT="3")
        await self.engine.start(NAME)
        output: list[bytes] = []
        await self.engine.follow_output(NAME, None, output.append)
        self.assertEqual(b"".join(output), b"cannot continue: exiting with 3\n")

    async def test_following_the_output_can_be_cancelled(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        following = Deferred.fromCoroutine(self.engine.follow_output(NAME, None, lambda data: None))
        REACTOR.callLater(0.1, following.cancel)
        await self.fails(CancelledError, following)

    async def test_stop_ends_it_and_may_be_repeated(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        await self.engine.stop(NAME, 1)
        self.assertFalse((await self.state())["Running"])
        await self.engine.stop(NAME, 1)

    async def test_a_stop_that_is_cancelled_kills(self) -> None:
        await self.create(NO_TERM="1")
        await self.engine.start(NAME)
        stopping = Deferred.fromCoroutine(self.engine.stop(NAME, 60))
        REACTOR.callLater(0.3, stopping.cancel)
        await self.fails(CancelledError, stopping)
        self.assertEqual(await self.engine.wait(NAME), 137)

    async def test_a_signal_reaches_only_what_runs(self) -> None:
        await self.create()
        await self.fails(Conflict, self.engine.kill(NAME, "SIGKILL"))
        await self.engine.start(NAME)
        await self.engine.kill(NAME, "SIGKILL")
        self.assertEqual(await self.engine.wait(NAME), 137)

    async def test_remove_takes_it_away_running_or_not(self) -> None:
        for starts in (False, True):
            await self.create()
            if starts:
                await self.engine.start(NAME)
            await self.engine.remove(NAME)
            await self.fails(NotFound, self.engine.inspect_container(NAME))

    async def test_what_a_container_was_made_of_can_be_told_from_it(self) -> None:
        image = await self.image()
        options = ContainerSpec(
            command=("/server", "now"),
            env=("A=1", "PORTS"),
            ports=(ContainerPort(self.port),),
            volumes=Volumes((f"{self.folder}:/data:ro",), ("/cache",)),
            settings={
                "HostConfig.Mounts": [
                    {"Type": "tmpfs", "Target": "/scratch"},
                    {"Type": "bind", "Source": "/usr", "Target": "/u", "ReadOnly": True},
                ],
                "HostConfig.Init": True,
                "StopSignal": "SIGUSR1",
                "StopTimeout": 7,
            },
        )
        await self.engine.create(NAME, create_body(APP, 0, NAME, Recipe(image, options)))
        found = await self.recipe()
        self.assertEqual(
            (found.image.id, found.image.name.reference, found.image.obtained),
            (image.id, f"{image.name.reference}", True),
        )
        # PORTS, too, which was taken away from what the image has.
        self.assertEqual(found.options, options)
        # Another of the same is the same.
        await self.engine.remove(NAME)
        await self.engine.create(NAME, create_body(APP, 0, NAME, found))
        self.assertEqual(await self.recipe(), found)

    async def test_what_a_container_of_hanoverd_0_4_was_made_of_can_be_told_from_it(self) -> None:
        image = await self.image()
        options = ContainerSpec(
            command=("/server", "now"),
            env=("A=1", "PORTS"),
            ports=(ContainerPort(self.port),),
            volumes=Volumes((), ("/cache",)),
        )
        body = create_body(APP, 0, NAME, Recipe(image, options))
        labels = body["Labels"]
        assert isinstance(labels, dict)
        del labels[GIVEN]
        await self.engine.create(NAME, body)
        found = await self.recipe()
        wanted = ("A=1", f"HANOVERD_IMAGE={image.name.reference}")
        self.assertTrue(set(wanted) <= set(found.options.env), found)
        # It was taken away from what the image has.
        self.assertIn("PORTS", found.options.env)
        self.assertEqual(replace(found.options, env=()), replace(options, env=()))
        # Another of the same is the same.
        await self.engine.remove(NAME)
        await self.engine.create(NAME, create_body(APP, 0, NAME, found))
        again = await self.recipe()
        self.assertEqual(replace(again.options, env=()), replace(found.options, env=()))
        self.assertEqual(sorted(again.options.env), sorted(found.options.env))

    async def recipe(self) -> Recipe:
        """What the container was made of, by what the engine says."""
        found = await self.engine.inspect_container(NAME)
        return recipe_of(found, await self.engine.inspect_image(found["Image"]))

    async def test_a_container_can_be_given_another_name(self) -> None:
        await self.create()
        await self.engine.rename(NAME, f"{NAME}-kept")
        try:
            await self.fails(NotFound, self.engine.inspect_container(NAME))
            await self.create()
            await self.fails(Conflict, self.engine.rename(NAME, f"{NAME}-kept"))
        finally:
            await self.engine.remove(f"{NAME}-kept")

    async def test_an_image_is_removed_unless_a_container_has_it(self) -> None:
        (self.folder / "more").write_text(NAME)
        image = await self.image()
        await self.engine.create(
            NAME, create_body(APP, 0, NAME, Recipe(image, ContainerSpec(ports=(ContainerPort(self.port),))))
        )
        await self.fails(Conflict, self.engine.remove_image(image.id))
        await self.engine.remove(NAME)
        await self.engine.remove_image(image.id)
        await self.fails(NotFound, self.engine.inspect_image(image.id))
        await self.engine.remove_image(image.id)

    async def test_a_container_that_was_stopped_can_be_started_again(self) -> None:
        await self.create()
        await self.engine.start(NAME)
        await self.engine.stop(NAME, 1)
        await self.engine.start(NAME)
        self.assertTrue((await self.state())["Running"])

    async def test_nobody_at_the_address(self) -> None:
        absent = Engine(REACTOR, self.pool, EngineAddress("unix:///nowhere/at/all", None, "the test"))
        said = await self.fails(EngineUnreachable, absent.negotiate())
        self.assertIn("no Docker engine answers at unix:///nowhere/at/all (the test)", said)
