"""The builder: obtains an image, pushes it, and notifies its users."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
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
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import EngineRefused, HanoverdError, ObtainFailed, OperationFailed
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from hanoverd.text.durations import format_duration
from hanoverd.text.short_id import short_id

log = Logger()


class Builder:
    """Obtains images from ``source``, each within ``obtain_timeout`` seconds, pushes them as ``image``, and calls ``notify``;
    one build at a time.
    """

    def __init__(
        self,
        clock: IReactorTime,
        engine: Engine,
        credentials: Credentials,
        source: Source,
        image: ImageName,
        notify: Callable[[], Coroutine[Deferred[Any], Any, None]],
        progress: Progress,
        obtain_timeout: float,
    ) -> None:
        self._clock = clock
        self._engine = engine
        self._credentials = credentials
        self._source = source
        self._image = image
        self._notify = notify
        self._progress = progress
        self._obtain_timeout = obtain_timeout
        self._requests = Requests()
        self._building: Deferred[None] | None = None
        #: The commit that is being built; None: no build runs, or it is of the newest one.
        self._building_revision: str | None = None
        self._is_stopping = False

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Build ``revision`` (a commit), or the newest revision. Cancels a build that runs, unless it is of ``revision``."""
        if revision is not None and revision == self._building_revision and self._requests.is_empty:
            log.info("builder: {reason}, which is being built", event="build_running", reason=reason)
            return
        self._requests = self._requests.add_trigger(reason, revision)
        self._start_next()

    def newest_found(self, newest: str) -> None:
        """Build the source's ``newest`` revision, unless it was built or is being built."""
        self._requests = self._requests.newest_found(newest)
        self._start_next()

    async def stop(self) -> None:
        """Cancel the build that runs, and start no more; fires when it has ended. Ignores cancellation."""
        self._is_stopping = True
        if self._building is not None:
            building = Outcome(self._building)
            self._building.cancel()
            await shielded(building.wait())

    async def build(self, revision: str | None = None) -> None:
        """Obtain, tag and push the image once, and notify its users.

        Fails with ``HanoverdError``. Cancel also aborts the work on the engine.
        """
        start = self._clock.seconds()
        log.info("builder: {source}", event="build_obtaining", source=self._source.describe())
        image = await self._obtain(revision)
        self._requests = replace(self._requests, obtained=image.revision)
        await self._engine.tag(image.id, self._image.repository, self._image.tag_or_digest)
        await self._push()
        await self._notify()
        seconds = self._clock.seconds() - start
        log.info(
            "builder: pushed {image} ({short}) in {took}",
            event="pushed",
            image=self._image.reference,
            image_id=image.id,
            short=short_id(image.id),
            seconds=seconds,
            took=format_duration(seconds),
        )

    async def _obtain(self, revision: str | None) -> Image:
        obtaining = Deferred.fromCoroutine(self._source.obtain(self._progress, revision))
        try:
            return await within(self._clock, self._obtain_timeout, obtaining)
        except TimedOut:
            raise ObtainFailed(
                f"{self._source.describe()}: not done within {format_duration(self._obtain_timeout)}: check what it waits "
                "for, or set a longer --obtain-timeout"
            ) from None

    async def _push(self) -> None:
        image = self._image
        login = await self._credentials.login(image.registry)
        try:
            await self._engine.push(image.repository, image.tag_or_digest, login, self._progress)
        except (EngineRefused, OperationFailed) as error:
            raise ObtainFailed(
                f"cannot push {image.reference}: {error}. Check that the registry answers, and that you are logged in "
                f"(`docker login {image.registry}`)"
            ) from None

    def _start_next(self) -> None:
        if self._is_stopping:
            return
        if self._building is not None:
            if not self._requests.is_empty:
                self._building.cancel()
            return
        self._requests = self._requests.catch_up()
        if not self._requests.is_empty:
            request, self._requests = self._requests.next_request(), self._requests.cleared()
            target = request.target
            self._building_revision = target.revision if isinstance(target, SourceTarget) else None
            building = self._building = Deferred.fromCoroutine(self._build_and_log(request))
            building.addCallback(self._build_ended)

    def _build_ended(self, _result: None) -> None:
        self._building = self._building_revision = None
        self._start_next()

    async def _build_and_log(self, request: Request) -> None:
        log.info(
            "builder: build: {trigger}", event="build", trigger=", ".join(request.reasons), reasons=request.reasons
        )
        try:
            await self.build(self._building_revision)
        except CancelledError:
            log.info("builder: build cancelled", event="build_cancelled")
        except HanoverdError as error:
            log.error("builder: build failed: {error}", event="build_failed", error=error)
            log.info("builder: waiting for the next trigger", event="build_waiting")
        except Exception:  # noqa: BLE001  # a mistake of ours must not end the builder
            log.failure("builder: build failed: internal error", event="internal_error")
