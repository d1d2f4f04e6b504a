"""The versions that were live before, and can be rolled back to: their stopped containers are the memory of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from hanoverd.deploy.rollback import (
    Candidate,
    deployed,
    is_same,
    rollback_target,
    rolled_back,
    worth_keeping,
)
from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import image_in
from hanoverd.runtime.errors import Conflict, HanoverdError, NotFound, NothingKept
from hanoverd.runtime.report_once import ReportOnce
from hanoverd.spec.container import Image, Recipe
from hanoverd.spec.image_name import ImageName, is_newest_build
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.names import is_kept, version_name
from hanoverd.text.short_id import short_id
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Running
from hanoverd.versions.versions import Versions

log = Logger()


@dataclass(frozen=True)
class Kept:
    """A version that can be rolled back to; ``created`` is the Unix time when its container was created."""

    container: Container
    image: Image
    lineage: Lineage
    created: float

    @property
    def number(self) -> int:
        """Its number."""
        return self.container.number


class Retention:
    """Keeps up to ``most`` versions of an app to roll back to (see ``worth_keeping``), with their images; removes others, and
    images that hanoverd obtained.
    """

    def __init__(
        self,
        engine: Engine,
        versions: Versions,
        stopper: Stopper,
        most: int,
        retiring: Callable[[], Collection[int]],
        live: Callable[[], Running | None],
        on_removed: Callable[[int], object],
        on_prune_failed: Callable[[], object],
    ) -> None:
        self._engine = engine
        self._versions = versions
        self._stopper = stopper
        self._most = most
        #: The versions that were replaced, and can be rolled back to although they still drain or stop.
        self._retiring = retiring
        self._live = live
        self._on_removed = on_removed
        self._on_prune_failed = on_prune_failed
        self._report_prune_failed = ReportOnce(self._log_prune_failed)
        self._lock = DeferredLock()
        self._unused: set[Image] = set()
        self._kept: list[Kept] = []
        #: How many handovers are obtaining: their images are not in use by a container yet.
        self._obtaining = 0
        self._image_lock = DeferredLock()

    def kept(self) -> list[Kept]:
        """Return what can be rolled back to, as far as it is known without asking the engine, the newest first."""
        return sorted([*self._still_retiring(), *self._kept], key=lambda one: -one.number)

    def mark_unused(self, image: Image) -> None:
        """``image`` was obtained, and no version of it went live: it is removed when the next one is live."""
        self._unused.add(image)

    @asynccontextmanager
    async def obtaining(self) -> AsyncIterator[None]:
        """The context in which an image is obtained and its container created: no image is removed meanwhile."""
        self._obtaining += 1
        try:
            # A removal that has started is over first: it could be of the very image.
            await self._image_lock.run(lambda: None)
            yield
        finally:
            self._obtaining -= 1

    async def keep(self, container: Container) -> bool:
        """Put a stopped version away; whether that was done.  Fails with the ``EngineError`` family."""
        if not self._most:
            self.mark_unused(image_in(await self._engine.inspect_container(container.ref)))
            return False
        await self._stopper.rename_to_kept(container)
        return True

    async def rollback_recipe(self, number: int | None) -> Recipe:
        """Return what a rollback to version ``number`` is made of, or to the version before the live one: see
        ``rollback_target``.

        Fails with ``NothingKept``, or the ``EngineError`` family.
        """
        live, available = self._live(), await self._available()
        target = rollback_target(None if live is None else await self._candidate(live.container), number, available)
        if target is None:
            app = self._versions.app
            what = (
                f"version {version_name(app, number)} is not kept"
                if number is not None
                else f"no version before {'the live one' if live is None else live.name} is kept"
            )
            listed = ", ".join(version_name(app, one.number) for one in available) or "none"
            raise NothingKept(
                f"cannot roll back: {what}. Kept versions: {listed} (`hanoverd versions {app}`); --keep-versions sets how "
                "many are kept"
            )
        return rolled_back(target)

    async def deploy_recipe(self, image: Image, source: str) -> Recipe:
        """Return what a deploy beside the live version is made of; fails with the ``EngineError`` family."""
        recipe, live = self._versions.recipe(image), self._live()
        if live is None:
            return deployed(recipe, source, None, await self._available())
        present = Candidate(live.number, live.created.recipe)
        knows_predecessors = present.recipe.lineage.predecessors is not None
        return deployed(recipe, source, present, () if knows_predecessors else await self._available())

    async def remove_second_name(self, image: Image, live: Image) -> None:
        """Remove the name of ``image``, which was obtained and is not used, from an image that is used by another name.

        The image itself would never be removed otherwise: one with another name counts as another's.  Never fails.  ``live``
        is the image of the live version.
        """
        name = image.name
        if not image.obtained or name.reference == live.name.reference or name.digest or is_newest_build(name):
            return
        try:
            found = await self._engine.inspect_image(name.reference)
            if found["Id"] == image.id:
                await self._engine.remove_image(name.reference)
        except HanoverdError:
            return  # It is in use, or gone.

    async def prune(self) -> None:
        """Remove the kept versions and the images that are not needed beside the live version.

        ``on_removed`` is called with the number of each removed version.  Never fails: ``on_prune_failed`` is called if
        something could not be removed.
        """
        live = self._live()
        if live is None:
            return
        try:
            await self._lock.run(lambda: Deferred.fromCoroutine(self._prune(live)))
        except NotFound:
            pass  # A version was replaced meanwhile, and its successor prunes again.
        except HanoverdError as error:
            self._report_prune_failed(str(error))
            self._on_prune_failed()
        else:
            self._report_prune_failed.reset()

    def _log_prune_failed(self, error: str) -> None:
        log.warn(
            "{app}: old versions or images cannot be removed: {error}",
            event="tidy_failed",
            app=self._versions.app,
            error=error,
        )

    async def _prune(self, live: Running) -> None:
        looked = {one.number: one for one in await self._look()}
        available = [await self._candidate(one.container) for one in looked.values()]
        # The live version too, as the engine has it: like is compared with like.
        kept = worth_keeping(await self._candidate(live.container), available, self._most)
        images = [live.created.image, *(one.recipe.image for one in kept)]
        needed, names = {one.id for one in images}, {one.name for one in images}
        self._kept = [looked[one.number] for one in kept]
        for number in sorted(looked.keys() - {one.number for one in kept}):
            await self._stopper.remove(looked[number].container)
            log.info(
                "{version}: removed: it is not needed for a rollback",
                event="pruned",
                version=version_name(self._versions.app, number),
            )
            self._unused.add(looked[number].image)
            self._on_removed(number)
        for image in list(self._unused):
            if image.id in needed and image.name not in names:
                # A build of another commit has made the same image.
                await self.remove_second_name(image, live.created.image)
            if not image.obtained or image.id in needed or await self._dispose_of(image):
                self._unused.discard(image)

    async def _dispose_of(self, image: Image) -> bool:
        """Remove an image, unless it is another's; False if its turn is still to come."""
        try:
            found = await self._engine.inspect_image(image.id)
        except NotFound:
            return True
        tags = [ImageName.parse(tag).reference for tag in found.get("RepoTags") or []]
        if tags and is_newest_build(image.name):
            # The next build begins from what the engine keeps of it, and takes the name away from it.
            return image.name.reference not in tags
        if not set(tags) <= {image.name.reference}:
            return True
        return await self._image_lock.run(lambda: Deferred.fromCoroutine(self._remove_unless_obtaining(image)))

    async def _remove_unless_obtaining(self, image: Image) -> bool:
        if self._obtaining:
            return False
        name = image.name.reference
        try:
            await self._engine.remove_image(image.id)
        except NotFound:
            return True
        except Conflict:
            # A container still has it: one of ours that is about to be removed, or another's.
            return False
        log.info(
            "{app}: removed the unused image {image} ({short})",
            event="image_removed",
            app=self._versions.app,
            image=name,
            image_id=image.id,
            short=short_id(image.id),
        )
        return True

    async def _look(self) -> list[Kept]:
        """Return the versions whose containers are kept."""
        listed = await self._versions.listed()
        return [_kept(container, found) for container, found in listed if is_kept(container.name)]

    def _still_retiring(self) -> list[Kept]:
        if not self._most:
            return []
        live = self._live()
        running = [self._versions.running(number) for number in self._retiring()]
        return [
            Kept(one.container, one.created.image, one.created.recipe.lineage, one.created.at)
            for one in running
            if one is not None and (live is None or not is_same(one.created.recipe, live.created.recipe))
        ]

    async def _available(self) -> list[Candidate]:
        """Return all versions that can be rolled back to, the newest first."""
        retiring = self._retiring() if self._most else ()
        listed = [container for container, _ in await self._versions.listed()]
        wanted = [one for one in listed if is_kept(one.name) or one.number in retiring]
        found = []
        for container in sorted(wanted, key=lambda one: -one.number):
            try:
                found.append(await self._candidate(container))
            except NotFound:
                continue  # It was removed in the meantime.
        return found

    async def _candidate(self, container: Container) -> Candidate:
        found = await self._engine.inspect_container(container.ref)
        return Candidate(container.number, await self._versions.recipe_of(found))


def _kept(container: Container, listed: Mapping[str, Any]) -> Kept:
    # The list says less than an inspection.
    found = {"Image": listed["ImageID"], "Config": {"Labels": listed["Labels"]}}
    lineage = Lineage.of_labels(listed["Labels"] or {}, container.number)
    return Kept(container, image_in(found), lineage, float(listed["Created"]))
