"""An image by name: the one that the engine has, or pulled from its registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.errors import EngineRefused, NotFound, ObtainFailed, RegistryBusy
from hanoverd.spec.build import ALWAYS, MISSING, NEVER
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from hanoverd.text.durations import format_duration

T = TypeVar("T")

log = Logger()

#: The waits between the requests to a registry that limits their rate, and the number of requests.
BACKOFF, ATTEMPTS = Backoff(first=2.0, longest=60.0), 7

#: The code of that refusal, which the engine hands on as text (distribution specification, error codes).
_BUSY = re.compile(r"toomanyrequests|429 Too Many Requests", re.IGNORECASE)

_DIGEST = re.compile(r"Digest: (sha\d+:[0-9a-f]+)")

#: How the engine says that it had the image already (cli and moby, "Status: Image is up to date for …").
_UP_TO_DATE = "Image is up to date"

#: errno ENOSPC, as the engine hands it on.
_NO_ROOM = "no space left on device"


class RegistrySource:
    """Obtains the image that ``text`` names; where the user has not said when to pull, if the engine does not have it."""

    def __init__(self, text: str, context: SourceContext) -> None:
        self._context = context
        self._engine: Engine = context.engine
        self._name = ImageName.parse(text)
        self._policy = context.pull or MISSING
        self._pulled_before: set[str] = set()

    def describe(self) -> str:
        """What it will do, for the log."""
        return f"{'pull' if self._policy == ALWAYS else 'use'} the image {self._name.reference}"

    def check(self) -> None:
        """There is nothing to look at: a registry that does not answer now may do so later."""

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Inspect, and pull as the policy says.  The name alone says what: a digest that was seen once (``revision``) must
        not outlive what the tag means now.

        Backs off where the registry asks for it.  Cancel aborts the pull.
        """
        del revision
        name = self._name
        if not name.repository or self._policy != ALWAYS:
            try:
                return await self._inspected(name)
            except NotFound:
                self._refuse_to_pull(name)
        return await self._patiently(name, lambda: self._pulled(name, progress))

    async def newest(self) -> str | None:
        """The digest that the registry has for the tag; None for what can never change, or is never pulled."""
        name = self._name
        if not name.repository or name.digest or self._policy == NEVER:
            return None

        async def asking() -> str:
            login = await self._context.credentials.login(name.registry)
            try:
                return await self._engine.remote_digest(name.reference, login)
            except EngineRefused as error:
                raise _refusal(name, str(error)) from None

        return await self._patiently(name, asking)

    def _refuse_to_pull(self, name: ImageName) -> None:
        if not name.repository:
            raise ObtainFailed(f"no image has the ID {name.reference}: name one that a registry has") from None
        if self._policy == NEVER:
            raise ObtainFailed(
                f"the engine has no image {name.reference}, and --pull never forbids to pull it: pull it by hand "
                f"(`docker pull {name.reference}`), or allow it"
            ) from None

    async def _inspected(self, name: ImageName) -> Image:
        found = await self._engine.inspect_image(name.reference)
        digests = [digest for digest in found.get("RepoDigests") or [] if digest.startswith(f"{name.repository}@")]
        revision = digests[0].partition("@")[2] if digests else None
        return image_of(found, name, revision, obtained=found["Id"] in self._pulled_before)

    async def _pulled(self, name: ImageName, progress: Progress) -> Image:
        errors: list[str] = []
        digests: list[str] = []
        was_there: list[bool] = []

        def on_event(event: Mapping[str, Any]) -> None:
            if "error" in event:
                errors.append(str(event["error"]))
            else:
                status = str(event.get("status", ""))
                digests.extend(_DIGEST.findall(status))
                was_there.append(_UP_TO_DATE in status)
                progress(_line(event))

        login = await self._context.credentials.login(name.registry)
        try:
            await self._engine.pull(name.repository, name.tag_or_digest, login, on_event)
        except EngineRefused as error:
            errors.append(str(error))
        if errors:
            raise _refusal(name, errors[-1])
        # The stream of a pull that was cut short looks like any other, and the name may still mean an older image:
        # only the digest, which comes last, proves that it worked.
        if not digests:
            raise ObtainFailed(
                f"the pull of {name.reference} was broken off: the engine never said that it is complete"
            )
        try:
            pulled = await self._engine.inspect_image(f"{name.repository}@{digests[-1]}")
        except NotFound:
            raise ObtainFailed(f"the pull of {name.reference} ended without the image {digests[-1]}") from None
        if not any(was_there):
            self._pulled_before.add(pulled["Id"])
        return image_of(pulled, name, digests[-1], obtained=pulled["Id"] in self._pulled_before)

    async def _patiently(self, name: ImageName, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
        def log_delay(error: RegistryBusy, delay: float) -> None:
            log.warn(
                "registry: too many requests for {image}; retrying in {wait}: {error}",
                event="registry_busy",
                image=name.reference,
                wait=format_duration(delay),
                retry_seconds=delay,
                error=error,
            )

        return await retry(
            self._context.reactor, BACKOFF, work, on=RegistryBusy, attempts=ATTEMPTS, before_sleep=log_delay
        )


def _refusal(name: ImageName, reason: str) -> ObtainFailed:
    said = f"cannot pull {name.reference}: {reason}"
    if _BUSY.search(reason):
        return RegistryBusy(f"{said}. The registry limits how often it is asked: log in, or wait")
    if _NO_ROOM in reason:
        return ObtainFailed(f"{said}. The engine's disk is full: `docker image prune` removes what is not used")
    return ObtainFailed(
        f"{said}. Check the name, that the registry answers, and that `docker login {name.registry}` was done for it"
    )


def _line(event: Mapping[str, Any]) -> str:
    """One event of a pull as Docker's client shows it: the layer, what is done with it, how far."""
    return ": ".join(str(event[key]) for key in ("id", "status") if event.get(key)) + (
        f" {event['progress']}" if event.get("progress") else ""
    )
