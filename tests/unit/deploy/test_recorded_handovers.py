"""What the history records of handovers, and that it continues after a stop and a kill: on a fake engine."""

from __future__ import annotations

import json
from typing import Any

from hanoverd.deploy.origins import AT_START, HookbotTarget
from hanoverd.deploy.targets import Source
from hanoverd.history.reading import read_history
from hanoverd.history.record import COMMAND, HOOKBOT, RESTART, HistoryQuery, Origin
from hanoverd.runtime.clock import sleep
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.ports import ContainerPort
from tests.fakes.world import APP, PORT, REACTOR, WITHIN, Daemon, until
from tests.unit.deploy.scenario import ScenarioCase

ALL = HistoryQuery(1000)
SECRET = "hunter2"


def container(**env: str) -> ContainerSpec:
    return ContainerSpec(
        env=tuple(f"{name}={value}" for name, value in env.items()),
        ports=(ContainerPort(PORT),),
        settings={"Labels": {"password": env.get("PASSWORD", "")}},
    )


class RecordedTests(ScenarioCase):
    """One app, over several runs of its daemon."""

    async def saved(self, daemon: Daemon) -> list[dict[str, Any]]:
        """The handovers that are asked for on the control socket."""
        return await daemon.app.history.search(ALL)

    async def test_what_changed_and_what_became_of_the_connections(self) -> None:
        daemon = await self.started(keep=True, container=container(PASSWORD=SECRET), drain=0.0)
        self.world.write_app(BUILD="2")
        daemon.trigger("SIGHUP")
        await self.alone("app-1")
        await daemon.stop()
        daemon = self.world.daemon(container=container(PASSWORD=f"{SECRET}!", WORD="1"))
        daemon.start()
        await self.alone("app-2")
        first, second, third = await self.saved(daemon)
        self.assertEqual([first["id"], second["id"], third["id"]], [1, 2, 3])
        self.assertEqual((first["app"], first["number"], first["changes"], first["drained"]), (APP, 0, None, []))
        self.assertEqual([one["place"] for one in second["changes"]], ["Image"])
        self.assertIn(first["image_id"], second["changes"][0]["live"])
        self.assertIn(second["image_id"], second["changes"][0]["next"])
        self.assertEqual((second["old"], [one["version"] for one in second["drained"]]), ("app-0", ["app-0"]))
        self.assertEqual([one["place"] for one in third["changes"]], ["Env", "Env", "Labels"])
        await daemon.stop()
        self.assertNotIn(SECRET, json.dumps(read_history(self.world.history_file, ALL)))
        self.assertNotIn(SECRET.encode(), self.world.history_file.read_bytes())

    async def test_who_asked(self) -> None:
        daemon = await self.started()
        alice = Origin(COMMAND, "alice", 1000)
        daemon.orchestrator.request("hanoverd deploy", Source(), origin=alice)
        await self.alone("app-1")
        commit = "1" * 40
        HookbotTarget(daemon.orchestrator, "example/web").trigger("alice pushed 1111", None)
        await self.alone("app-2")
        HookbotTarget(daemon.orchestrator, "example/web").newest_found(commit)
        await until(lambda: len(daemon.outcomes()) == 4)
        asked = [record.asked_by for record in daemon.app.history]
        push = Origin(HOOKBOT, topic="example/web")
        self.assertEqual(asked[1:3], [[alice], [push]])
        self.assertEqual(asked[3], [Origin(HOOKBOT, topic="example/web", commit=commit)])

    async def test_a_restart_after_an_exit(self) -> None:
        daemon = await self.started(restart="always")
        self.world.kill("app-0")
        await self.alone("app-1")
        [_, record] = daemon.app.history
        self.assertEqual(record.asked_by, [Origin(RESTART)])
        self.assertTrue(record.source.startswith("build "))

    async def last_in_file(self, daemon: Daemon, **values: object) -> dict[str, Any]:
        """Return the last handover in the file as soon as it has these values."""
        store = daemon.app.history._store
        assert store is not None
        end = REACTOR.seconds() + WITHIN
        while True:
            [*_, record] = await store.read(ALL)
            if values.items() <= record.items():
                return record
            assert REACTOR.seconds() < end, record
            await sleep(REACTOR, 0.005)

    async def test_a_handover_in_progress_is_saved_with_what_is_known_of_it(self) -> None:
        daemon = await self.started()
        self.build_without_end()
        daemon.trigger("SIGHUP")
        await self.last_in_file(daemon, version="app-1", old="app-0", outcome="under way")
        self.world.write_app(BUILD="2")
        self.never_ready("app-2")
        daemon.trigger("SIGHUP")
        record = await self.last_in_file(daemon, version="app-2", image="hanoverd/app:latest", outcome="under way")
        self.assertEqual([one["place"] for one in record["changes"]], ["Image"])
        await until(lambda: self.world.has_logged("started", version="app-2"))
        self.becomes_ready("app-2")
        await self.alone("app-2")

    async def test_a_folder_that_cannot_be_used_disturbs_no_handover(self) -> None:
        self.world.history_file.parent.parent.mkdir(parents=True, exist_ok=True)
        self.world.history_file.parent.write_text("")
        daemon = await self.started()
        daemon.trigger("SIGHUP")
        await self.alone("app-1")
        self.assertEqual([one["outcome"] for one in await self.saved(daemon)], ["live", "live"])
        self.assertEqual(sum(event.id == "history_unsaved" for event in self.world.events), 1)

    async def test_the_start(self) -> None:
        daemon = self.world.daemon()
        daemon.app.start()
        daemon.trigger("start", origin=AT_START)
        await self.alone("app-0")
        [record] = daemon.app.history
        self.assertEqual(record.asked_by, [AT_START])
