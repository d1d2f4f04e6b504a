"""The builder: obtains an image, pushes it, and tells those who run it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.edges.credentials import Credentials
from hanoverd.edges.engine import Engine
from hanoverd.errors import EngineRefused, HanoverdError, ObtainFailed
from hanoverd.model.durations import format_duration
from hanoverd.model.images import ImageName
from hanoverd.model.wishes import FromSource
from hanoverd.sources import Progress, Source
from hanoverd.triggers import Order, Triggers

log = Logger()


class Builder:
    """Pushes what ``source`` gives as ``image``, then calls ``notify``."""

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        credentials: Credentials,
        source: Source,
        image: ImageName,
        notify: Callable[[], Coroutine[Deferred[Any], Any, None]],
        progress: Progress,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._credentials = credentials
        self._source = source
        self._image = image
        self._notify = notify
        self._progress = progress
        self.triggers = Triggers(clock, self._work)

    async def build(self, revision: str | None = None) -> None:
        """Obtain, tag, push and tell, once.

        Fails with ``HanoverdError``.  Cancel aborts what is under way on the engine.
        """
        begun = self._clock.seconds()
        log.info("{what}", what=self._source.describe())
        image = await self._source.obtain(self._progress, revision)
        self.triggers.obtained = image.revision
        await self._engine.tag(image.id, self._image.repository, self._image.tag_or_digest)
        await self._push()
        await self._notify()
        log.info(
            "{name} ({id}) is pushed and told, after {time}",
            name=self._image.reference,
            id=image.id,
            time=format_duration(self._clock.seconds() - begun),
        )

    async def _push(self) -> None:
        errors: list[str] = []

        def on_event(event: Mapping[str, Any]) -> None:
            if "error" in event:
                errors.append(str(event["error"]))
            elif event.get("status"):
                self._progress(": ".join(str(event[key]) for key in ("id", "status") if event.get(key)))

        login = await self._credentials.login(self._image.registry)
        try:
            await self._engine.push(self._image.repository, self._image.tag_or_digest, login, on_event)
        except EngineRefused as error:
            errors.append(str(error))
        if errors:
            raise ObtainFailed(
                f"cannot push {self._image.reference}: {errors[-1]}. Check that the registry answers, and that "
                f"`docker login {self._image.registry}` was done for it"
            )

    async def _work(self, order: Order) -> None:
        log.info("build: {reasons}", reasons=", ".join(order.reasons))
        try:
            await self.build(order.wish.revision if isinstance(order.wish, FromSource) else None)
        except CancelledError:
            log.info("build cancelled: a newer one begins, or the end")
        except HanoverdError as error:
            log.error("{error}", error=error)
            log.info("waiting for the next message")
        except Exception:  # noqa: BLE001  # a mistake of ours must not end the builder
            log.failure("the build failed by a mistake in hanoverd")
