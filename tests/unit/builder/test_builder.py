"""The builder's queue: one build at a time, the newest wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from hanoverd.builder.builder import Builder
from hanoverd.docker.api import Login
from hanoverd.docker.credentials import Credentials
from hanoverd.docker.engine import Engine
from hanoverd.images import Progress
from hanoverd.runtime.errors import EngineRefused, HookbotError, ObtainFailed, OperationFailed
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from tests.coroutines import Run

NAME = ImageName("r.example/app", "v1")
IMAGE = Image("sha256:1", ImageName("hanoverd/app-builder"), (), revision="a" * 40)


class World:
    """The neighbours of a builder; ``events`` is what they were asked to do, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.obtaining: list[Deferred[Image]] = []
        self.push_error: Exception | None = None
        self.notify_error: Exception | None = None
        self.lines: list[str] = []
        self.clock = Clock()
        self.builder = Builder(
            self.clock,
            cast("Engine", self),
            cast("Credentials", self),
            self,
            NAME,
            self.notify,
            self.lines.append,
            60.0,
        )

    # -- the source

    def describe(self) -> str:
        return "build /app"

    def check(self) -> None:
        pass

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        progress("Step 1")
        self.events.append(f"obtain {revision}")
        self.obtaining.append(Deferred())
        try:
            return await self.obtaining[-1]
        except CancelledError:
            self.events.append("cancelled")
            raise

    async def newest(self) -> str | None:
        return None

    # -- the engine, the credentials and hookbot

    async def tag(self, image: str, repository: str, tag: str) -> None:
        self.events.append(f"tag {image} {repository}:{tag}")

    async def login(self, registry: str) -> Login:
        return {"username": f"me@{registry}"}

    async def push(self, repository: str, tag: str, login: Login, on_line: Callable[[str], object]) -> None:
        self.events.append(f"push {repository}:{tag} as {login['username']}")
        on_line("layer: Pushed")
        if self.push_error is not None:
            raise self.push_error

    async def notify(self) -> None:
        self.events.append("notify")
        if self.notify_error is not None:
            raise self.notify_error


PUSHED = ["tag sha256:1 r.example/app:v1", "push r.example/app:v1 as me@r.example", "notify"]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def logged() -> Iterator[list[LogEvent]]:
    """The events that are logged."""
    events: list[LogEvent] = []
    observer = cast("ILogObserver", events.append)
    globalLogPublisher.addObserver(observer)
    yield events
    globalLogPublisher.removeObserver(observer)


def ids(logged: list[LogEvent]) -> list[str]:
    return [str(event.get("event")) for event in logged]


def test_a_build_is_obtained_tagged_pushed_and_notified(world: World) -> None:
    run = Run(world.builder.build())
    assert world.events == ["obtain None"]
    world.obtaining[0].callback(IMAGE)
    assert (world.events[1:], run.results) == (PUSHED, [None])
    assert world.lines == ["Step 1", "layer: Pushed"]


@pytest.mark.parametrize("error", [OperationFailed("denied"), EngineRefused("cannot push", 500, "denied")])
def test_a_push_that_fails_is_not_notified(world: World, error: Exception) -> None:
    world.push_error = error
    run = Run(world.builder.build())
    world.obtaining[0].callback(IMAGE)
    assert run.failed_with(ObtainFailed)
    assert "denied. Check that the registry answers" in str(run.results[0])
    assert "notify" not in world.events


def test_a_build_that_never_ends_is_cancelled(world: World) -> None:
    run = Run(world.builder.build())
    world.clock.advance(59)
    assert run.results == []
    world.clock.advance(1)
    assert world.events == ["obtain None", "cancelled"]
    assert run.failed_with(ObtainFailed)
    assert "build /app: not done within 1m: check what it waits for, or set a longer --obtain-timeout" in str(
        run.results[0]
    )


def test_a_trigger_builds_its_revision(world: World) -> None:
    world.builder.trigger("a push", "b" * 40)
    assert world.events == [f"obtain {'b' * 40}"]


def test_a_trigger_cancels_the_build_that_runs(world: World) -> None:
    world.builder.trigger("start")
    world.builder.trigger("SIGHUP")
    assert world.events == ["obtain None", "cancelled", "obtain None"]
    world.obtaining[1].callback(IMAGE)
    assert world.events[3:] == PUSHED


def test_messages_about_the_commit_that_is_being_built_change_nothing(world: World) -> None:
    for _ in range(100):
        world.builder.trigger("a push", "b" * 40)
    assert world.events == [f"obtain {'b' * 40}"]
    world.builder.trigger("another push", "c" * 40)
    world.builder.trigger("the first one again", "b" * 40)
    assert world.events[1:] == ["cancelled", f"obtain {'c' * 40}", "cancelled", f"obtain {'b' * 40}"]
    world.obtaining[-1].callback(IMAGE)
    world.builder.trigger("and again", "b" * 40)
    assert world.events[-1] == f"obtain {'b' * 40}"


def test_the_newest_revision_is_built_unless_it_was(world: World) -> None:
    world.builder.trigger("start")
    world.obtaining[0].callback(IMAGE)
    done = len(world.events)
    world.builder.newest_found("a" * 40)
    assert len(world.events) == done
    world.builder.newest_found("b" * 40)
    assert world.events[done:] == [f"obtain {'b' * 40}"]


@pytest.mark.parametrize("error", [ObtainFailed("no Dockerfile"), KeyError("a mistake")])
def test_after_a_failure_the_next_trigger_builds(world: World, logged: list[LogEvent], error: Exception) -> None:
    world.builder.trigger("start")
    world.obtaining[0].errback(error)
    assert ("build_failed" in ids(logged)) == isinstance(error, ObtainFailed)
    assert ("internal_error" in ids(logged)) == isinstance(error, KeyError)
    world.builder.trigger("SIGHUP")
    world.obtaining[1].callback(IMAGE)
    assert world.events == ["obtain None", "obtain None", *PUSHED]


def test_a_failed_notification_is_logged(world: World, logged: list[LogEvent]) -> None:
    world.notify_error = HookbotError("cannot publish")
    world.builder.trigger("start")
    world.obtaining[0].callback(IMAGE)
    assert "build_failed" in ids(logged)
    assert "pushed" not in ids(logged)


def test_a_stop_cancels_the_build_and_starts_no_other(world: World) -> None:
    world.builder.trigger("start")
    run = Run(world.builder.stop())
    assert (world.events, run.results) == (["obtain None", "cancelled"], [None])
    world.builder.trigger("SIGHUP")
    assert world.events == ["obtain None", "cancelled"]


def test_a_stop_without_a_build_is_immediate(world: World) -> None:
    assert Run(world.builder.stop()).results == [None]
