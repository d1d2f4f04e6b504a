"""An image by name: the engine's, or pulled from its registry."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd.docker import quirks
from hanoverd.docker.engine import Engine
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.errors import EngineRefused, NotFound, ObtainFailed, OperationFailed, RegistryBusy
from hanoverd.spec.build import ALWAYS, MISSING, NEVER
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from hanoverd.text.durations import format_duration

T = TypeVar("T")

log = Logger()

#: The delays between the requests to a registry that limits their rate, and the number of requests.
BACKOFF, ATTEMPTS = Backoff(first=2.0, longest=60.0), 7


class RegistrySource:
    """Obtains the image that ``text`` names. Without ``--pull``, an image that the engine has is not pulled."""

    def __init__(self, text: str, context: SourceContext, backoff: Backoff = BACKOFF, attempts: int = ATTEMPTS) -> None:
        self._context = context
        self._engine: Engine = context.engine
        self._name = ImageName.parse(text)
        self._policy = context.pull or MISSING
        self._backoff = backoff
        self._attempts = attempts
        self._pulled_before: set[str] = set()

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log."""
        return f"{'pull' if self._policy == ALWAYS else 'use'} the image {self._name.reference}"

    def check(self) -> None:
        """Do nothing: a registry that does not answer now may answer later."""

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Inspect the image, and pull it if the policy says so.

        ``revision``, a digest, is ignored: the tag may refer to a newer image by now. When the registry limits the rate
        of requests, the pull is retried with backoff. Cancel aborts the pull.
        """
        del revision
        name = self._name
        if not name.repository or self._policy != ALWAYS:
            try:
                return await self._inspect(name)
            except NotFound:
                self._check_may_pull(name)
        return await self._retry(name, lambda: self._pull(name, progress))

    async def present(self) -> Image | None:
        """Return the image that ``obtain`` would return without a pull; None if it would pull.  Fails as ``obtain``."""
        if self._name.repository and self._policy == ALWAYS:
            return None
        try:
            return await self._inspect(self._name)
        except NotFound:
            self._check_may_pull(self._name)
            return None

    @property
    def reference(self) -> str:
        """The name of the image."""
        return self._name.reference

    async def next_digest(self) -> str | None:
        """Return the digest that a pull would get now; nothing is pulled.  Fails as ``newest``."""
        return self._name.digest or await self.newest()

    async def newest(self) -> str | None:
        """Return the digest that the registry has for the tag; None for an image that cannot change or is never pulled."""
        name = self._name
        if not name.repository or name.digest or self._policy == NEVER:
            return None

        async def ask() -> str:
            login = await self._context.credentials.login(name.registry)
            try:
                return await self._engine.remote_digest(name.reference, login)
            except EngineRefused as error:
                raise _pull_failure(name, str(error)) from None

        return await self._retry(name, ask)

    def _check_may_pull(self, name: ImageName) -> None:
        if not name.repository:
            raise ObtainFailed(
                f"the engine has no image with the ID {name.reference}, and an ID cannot be pulled: use a name"
            ) from None
        if self._policy == NEVER:
            raise ObtainFailed(
                f"the engine has no image {name.reference}, and --pull never does not allow to pull it: run "
                f"`docker pull {name.reference}`, or use --pull missing"
            ) from None

    async def _inspect(self, name: ImageName) -> Image:
        found = await self._engine.inspect_image(name.reference)
        digests = [digest for digest in found.get("RepoDigests") or [] if digest.startswith(f"{name.repository}@")]
        revision = digests[0].partition("@")[2] if digests else None
        return image_of(found, name, revision, obtained=found["Id"] in self._pulled_before)

    async def _pull(self, name: ImageName, progress: Progress) -> Image:
        digests: list[str] = []
        is_up_to_date = False

        def on_line(line: str) -> None:
            nonlocal is_up_to_date
            digest = quirks.pulled_digest(line)
            if digest is not None:
                digests.append(digest)
            is_up_to_date = is_up_to_date or quirks.is_up_to_date(line)
            progress(line)

        login = await self._context.credentials.login(name.registry)
        try:
            await self._engine.pull(name.repository, name.tag_or_digest, login, on_line, self._context.build.platform)
        except (EngineRefused, OperationFailed) as error:
            raise _pull_failure(name, str(error)) from None
        # A pull that was interrupted ends like any other, and the name may still refer to an older image: only the digest,
        # which comes last, proves that the pull is complete.
        if not digests:
            raise ObtainFailed(f"cannot pull {name.reference}: the engine interrupted the pull")
        if name.digest and digests[-1] != name.digest:
            raise ObtainFailed(f"cannot pull {name.reference}: the engine pulled {digests[-1]} instead")
        try:
            pulled = await self._engine.inspect_image(f"{name.repository}@{digests[-1]}")
        except NotFound:
            raise ObtainFailed(
                f"cannot pull {name.reference}: the engine does not have {digests[-1]} after the pull"
            ) from None
        if not is_up_to_date:
            self._pulled_before.add(pulled["Id"])
        return image_of(pulled, name, digests[-1], obtained=pulled["Id"] in self._pulled_before)

    async def _retry(self, name: ImageName, work: Callable[[], Coroutine[Deferred[Any], Any, T]]) -> T:
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
            self._context.reactor,
            self._backoff,
            work,
            on=RegistryBusy,
            attempts=self._attempts,
            before_sleep=log_delay,
        )


def _pull_failure(name: ImageName, reason: str) -> ObtainFailed:
    message = f"cannot pull {name.reference}: {reason}"
    if quirks.is_rate_limit(reason):
        return RegistryBusy(f"{message}. The registry limits the rate of requests: log in, or wait")
    if quirks.is_disk_full(reason):
        return ObtainFailed(f"{message}. The engine's disk is full: `docker image prune` removes unused images")
    return ObtainFailed(
        f"{message}. Check the name, that the registry answers, and that you are logged in (`docker login {name.registry}`)"
    )
