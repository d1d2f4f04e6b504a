"""Small neighbours for the parts of an app's life: they note in one flat list what they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogEvent, eventAsText

from hanoverd.runtime.cancellation import Outcome
from hanoverd.spec.container import ContainerSpec, Recipe
from hanoverd.spec.container import Image as ImageOf
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from hanoverd.versions.version import Container, Created, Running

RECIPE = Recipe(ImageOf("sha256:1", ImageName("app"), (ContainerPort(80),)), ContainerSpec())


class DummyMonitor:
    """The monitor of a container, which exits when ``end`` is called."""

    def __init__(self) -> None:
        self.ending: Deferred[int] = Deferred()
        self.exit = Outcome(self.ending)

    def end(self, code: int) -> None:
        self.ending.callback(code)


def container(number: int) -> Container:
    return Container(number, f"app-{number}", f"id-{number}")


def running(number: int) -> Running:
    """A version that runs, with a monitor of its own (``exit_of``)."""
    monitor: Any = DummyMonitor()
    return Running(
        Created(container(number), RECIPE, (ContainerPort(80),)),
        f"172.17.0.{number}",
        (f"172.17.0.{number}",),
        {},
        monitor,
    )


def exit_of(one: Running, code: int) -> None:
    """Have it exit."""
    monitor: Any = one.monitor
    monitor.end(code)


class Calls:
    """Calls that go on until a test answers them; each is noted with its name."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.waiting: dict[str, Deferred[Any]] = {}

    async def call(self, name: str) -> Any:
        self.events.append(name)
        self.waiting[name] = Deferred()
        try:
            return await self.waiting[name]
        except CancelledError:
            self.events.append(f"{name} cancelled")
            raise

    def answer(self, name: str, result: object = None) -> None:
        """Answer a call, with an exception too."""
        waiting = self.waiting.pop(name)
        if isinstance(result, Exception):
            waiting.errback(result)
        else:
            waiting.callback(result)


class Result:
    """What a coroutine comes to: ``values`` is empty while it runs."""

    def __init__(self, work: Any) -> None:
        self.values: list[object] = []
        self.work: Deferred[Any] = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
        self.work.addCallbacks(self.values.append, lambda failure: self.values.append(failure.type))


def ids(logged: Sequence[LogEvent]) -> list[str]:
    """Return the kinds of the logged events."""
    return [event["event"] for event in logged]


def texts(logged: Sequence[LogEvent]) -> list[str]:
    """What a person reads in the log."""
    return [eventAsText(event, includeTimestamp=False, includeSystem=False) for event in logged]
