"""The builder: obtains an image, pushes it, and tells those who run it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.deploy.requests import Request, Requests
from hanoverd.deploy.targets import Source as SourceTarget
from hanoverd.docker.credentials import Credentials
from hanoverd.docker.engine import Engine
from hanoverd.images import Progress, Source
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.errors import EngineRefused, HanoverdError, ObtainFailed
from hanoverd.spec.image_name import ImageName
from hanoverd.text.durations import format_duration
from hanoverd.text.short_id import short_id

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
        self._requests = Requests()
        self._building: Deferred[None] | None = None
        self._is_stopping = False

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Have a build started: of ``revision`` (a commit), if one is named, else of the newest.  It cancels one that is
        under way.
        """
        self._requests = self._requests.add_trigger(reason, revision)
        self._start()

    def newest_found(self, newest: str) -> None:
        """The source has ``newest``: have a build started, unless that was built, or is being built."""
        self._requests = self._requests.newest_found(newest)
        self._start()

    async def stop(self) -> None:
        """Cancel the build under way, and start none any more; fires when it is over.  Ignores cancellation."""
        self._is_stopping = True
        if self._building is not None:
            building = Outcome(self._building)
            self._building.cancel()
            await shielded(building.wait())

    async def build(self, revision: str | None = None) -> None:
        """Obtain, tag, push and tell, once.

        Fails with ``HanoverdError``.  Cancel aborts what is under way on the engine.
        """
        begun = self._clock.seconds()
        log.info("builder: {source}", event="build_obtaining", source=self._source.describe())
        image = await self._source.obtain(self._progress, revision)
        self._requests = replace(self._requests, obtained=image.revision)
        await self._engine.tag(image.id, self._image.repository, self._image.tag_or_digest)
        await self._push()
        await self._notify()
        seconds = self._clock.seconds() - begun
        log.info(
            "builder: pushed {image} ({short}), hookbot notified, in {took}",
            event="pushed",
            image=self._image.reference,
            image_id=image.id,
            short=short_id(image.id),
            seconds=seconds,
            took=format_duration(seconds),
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

    def _start(self) -> None:
        if self._is_stopping:
            return
        if self._building is not None:
            if not self._requests.is_empty:
                self._building.cancel()
            return
        self._requests = self._requests.catch_up()
        if not self._requests.is_empty:
            request, self._requests = self._requests.next_request(), self._requests.cleared()
            building = self._building = Deferred.fromCoroutine(self._work(request))
            building.addCallback(self._build_ended)

    def _build_ended(self, _result: None) -> None:
        self._building = None
        self._start()

    async def _work(self, request: Request) -> None:
        log.info(
            "builder: build: {trigger}", event="build", trigger=", ".join(request.reasons), reasons=request.reasons
        )
        try:
            await self.build(request.target.revision if isinstance(request.target, SourceTarget) else None)
        except CancelledError:
            log.info("builder: build cancelled: a newer one starts, or the builder stops", event="build_cancelled")
        except HanoverdError as error:
            log.error("builder: build failed: {error}", event="build_failed", error=error)
            log.info("builder: waiting for the next trigger", event="build_waiting")
        except Exception:  # noqa: BLE001  # a mistake of ours must not end the builder
            log.failure("builder: build failed: internal error", event="internal_error")
