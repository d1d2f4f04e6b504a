"""The versions that were live before, and can be rolled back to: their stopped containers are the memory of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from hanoverd.docker.engine import Engine
from hanoverd.docker.inspection import image_in
from hanoverd.runtime.errors import Conflict, HanoverdError, NotFound, NothingKept
from hanoverd.spec.container import Image, Recipe
from hanoverd.spec.image_name import ImageName, is_newest_build
from hanoverd.spec.names import is_kept
from hanoverd.text.short_id import short_id
from hanoverd.versions.stopping import Stopper
from hanoverd.versions.version import Container, Running, Versions

log = Logger()


@dataclass(frozen=True)
class Kept:
    """A version that can be rolled back to."""

    container: Container
    image: Image

    @property
    def generation(self) -> int:
        """Its number."""
        return self.container.number


class Retention:
    """Keeps the last ``most`` versions of an app that differ from the live one, and the images of these; removes the others,
    and images that hanoverd obtained.
    """

    def __init__(
        self,
        engine: Engine,
        versions: Versions,
        stopper: Stopper,
        most: int,
        draining: Callable[[], Collection[Running]],
    ) -> None:
        self._engine = engine
        self._versions = versions
        self._stopper = stopper
        self._most = most
        #: The versions that were replaced, and can be rolled back to although they still drain.
        self._draining = draining
        self._lock = DeferredLock()
        self._unused: set[Image] = set()
        self._kept: list[Kept] = []
        #: How many handovers are obtaining: their images are not in use by a container yet.
        self._obtaining = 0
        self._image_lock = DeferredLock()

    def kept(self, live: Running | None) -> list[Kept]:
        """What can be rolled back to, as far as it is known without asking the engine, the newest first."""
        return _newest_first([*self._still_draining(live), *self._kept])

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

    async def recipe(self, generation: int | None, live: Running | None) -> Recipe:
        """What a version was made from: that of ``generation``, else the last one that differs from ``live``.

        Fails with ``NothingKept``, or the ``EngineError`` family.
        """
        there = _newest_first([*self._still_draining(live), *await self._look()])
        present = None if live is None or generation is not None else await self._recipe_of(live.container)
        for one in there:
            if generation in (None, one.generation):
                recipe = await self._recipe_of(one.container)
                if not _is_same(recipe, present):
                    return recipe
        listed = ", ".join(f"{one.generation} ({one.image.name.reference})" for one in there) or "none"
        raise NothingKept(
            f"there is no version {'before the live one' if generation is None else generation} to go back to; kept are: "
            f"{listed} (--keep-versions says how many)"
        )

    async def prune(self, live: Running) -> tuple[int, ...]:
        """Remove what is not needed beside ``live``; fires with the numbers of the versions that were removed, and never
        fails: the next time may do better.
        """
        try:
            return await self._lock.run(lambda: Deferred.fromCoroutine(self._prune(live)))
        except NotFound:
            pass  # A version was replaced meanwhile, and its successor has this done again.
        except HanoverdError as error:
            log.warn(
                "{app}: old versions or images cannot be removed: {error}",
                event="tidy_failed",
                app=self._versions.app,
                error=error,
            )
        return ()

    async def _prune(self, live: Running) -> tuple[int, ...]:
        # Of the live version, too, as the engine has it: like is compared with like.
        recipes = [await self._recipe_of(live.container)]
        needed = {live.created.image.id}
        kept: list[Kept] = []
        removed: list[int] = []
        for one in await self._look():
            recipe = await self._recipe_of(one.container)
            if len(kept) < self._most and not any(_is_same(recipe, other) for other in recipes):
                recipes.append(recipe)
                needed.add(recipe.image.id)
                kept.append(one)
            else:
                await self._stopper.remove(one.container)
                self._unused.add(one.image)
                removed.append(one.generation)
        self._kept = kept
        for image in list(self._unused):
            if not image.obtained or image.id in needed or await self._dispose_of(image):
                self._unused.discard(image)
        return tuple(removed)

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
        listed = await self._versions.listed()
        return _newest_first(_kept(container, found) for container, found in listed if is_kept(container.name))

    def _still_draining(self, live: Running | None) -> list[Kept]:
        if not self._most:
            return []
        present = None if live is None else live.created.recipe
        return [
            Kept(one.container, one.created.image)
            for one in self._draining()
            if not _is_same(one.created.recipe, present)
        ]

    async def _recipe_of(self, container: Container) -> Recipe:
        return await self._versions.recipe_of(await self._engine.inspect_container(container.ref))


def _is_same(recipe: Recipe, other: Recipe | None) -> bool:
    """Whether two versions are the same: by the image's ID, whatever it was called, and the options."""
    return other is not None and (recipe.image.id, recipe.options) == (other.image.id, other.options)


def _newest_first(kept: Iterable[Kept]) -> list[Kept]:
    return sorted(kept, key=lambda one: -one.generation)


def _kept(container: Container, listed: Mapping[str, Any]) -> Kept:
    # The list says less than an inspection.
    found = {"Image": listed["ImageID"], "Config": {"Labels": listed["Labels"]}}
    return Kept(container, image_in(found))
