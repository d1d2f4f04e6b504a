"""The versions that were live before, and can be gone back to: their containers, stopped, are the memory of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from hanoverd.edges.engine import Engine
from hanoverd.errors import Conflict, HanoverdError, NotFound, NothingKept
from hanoverd.model.container import Image, Recipe, app_label
from hanoverd.model.images import ImageName, is_newest_build
from hanoverd.model.inspection import generation_of, image_in
from hanoverd.model.names import generation_in, is_kept
from hanoverd.version import Live, Versions

log = Logger()


@dataclass(frozen=True)
class Kept:
    """One of them; ``name`` is its container's name of now."""

    generation: int
    name: str
    image: Image


class Keeper:
    """Keeps the last ``most`` versions of an app that differ from the live one, and the images of these; removes what is
    too much, if it was hanoverd that obtained it.
    """

    def __init__(self, engine: Engine, versions: Versions, most: int) -> None:
        self._engine = engine
        self._versions = versions
        self._most = most
        self._lock = DeferredLock()
        self._passed: set[Image] = set()
        self._kept: list[Kept] = []
        self._leaving: dict[str, Kept] = {}
        #: Set while a handover is under way: what it has obtained, perhaps once more, is not in use by a container yet.
        self.is_obtaining = False

    @property
    def kept(self) -> list[Kept]:
        """What could be gone back to when it was looked at last, the newest first."""
        return _newest_first([*self._leaving.values(), *self._kept])

    def leaves(self, old: Live, live: Live) -> None:
        """``old``, which ``live`` has replaced, still finishes; until it is ``gone``, it can be gone back to as well."""
        before, now = old.running.created.recipe, live.running.created.recipe
        if self._most and (before.image.id, before.options) != (now.image.id, now.options):
            self._leaving[old.name] = Kept(generation_in(old.name), old.name, before.image)

    def gone(self, name: str) -> None:
        """It does not finish any more, kept or not."""
        self._leaving.pop(name, None)

    async def keep(self, name: str) -> bool:
        """Put the container ``name`` of a version that was live, and was stopped, away; whether it could be done."""
        if not self._most:
            self._passed.add(image_in(await self._engine.inspect_container(name)))
            return False
        await self._versions.put_away(name)
        return True

    def pass_over(self, image: Image) -> None:
        """``image`` was obtained, and no version of it went live: it goes when the next one does."""
        self._passed.add(image)

    async def recipe(self, generation: int | None, live: Live | None) -> Recipe:
        """What a version was made of: that of ``generation``, else the last one that differs from ``live``.

        Fails with ``NothingKept``, or the ``EngineError`` family.
        """
        there = _newest_first([*self._leaving.values(), *await self._look()])
        present = None if live is None or generation is not None else await self._recipe_of(live.name)
        for one in there:
            if generation in (None, one.generation):
                recipe = await self._recipe_of(one.name)
                if recipe != present:
                    return recipe
        listed = ", ".join(f"{one.generation} ({one.image.name.reference})" for one in there) or "none"
        raise NothingKept(
            f"there is no version {'before the live one' if generation is None else generation} to go back to; kept are: "
            f"{listed} (--keep-versions says how many)"
        )

    async def tidy(self, live: Live) -> None:
        """Remove what is too much beside ``live``, after each handover and each departure; fires when it is done, and never fails: the next time may do better."""
        try:
            await self._lock.run(lambda: Deferred.fromCoroutine(self._tidy(live)))
        except NotFound:
            pass  # It is not live any more, and whoever comes in its place will do it.
        except HanoverdError as error:
            log.warn("old versions and images could not be removed: {error}", error=error)

    async def clear(self) -> None:
        """Forget all versions, but not their images; fails with the ``EngineError`` family."""
        for one in await self._look():
            await self._versions.remove(one.name)
        self._kept = []

    async def _tidy(self, live: Live) -> None:
        recipes = [await self._recipe_of(live.name)]
        needed = {recipes[0].image.id}
        kept: list[Kept] = []
        for one in await self._look():
            recipe = await self._recipe_of(one.name)
            if len(kept) < self._most and recipe not in recipes:
                recipes.append(recipe)
                needed.add(recipe.image.id)
                kept.append(one)
            else:
                await self._versions.remove(one.name)
                self._passed.add(one.image)
        self._kept = kept
        passed, self._passed = self._passed, set()
        for image in passed:
            if image.obtained and image.id not in needed and not await self._is_removed(image):
                self._passed.add(image)

    async def _is_removed(self, image: Image) -> bool:
        """Remove it, unless it is somebody else's; False if its turn is still to come."""
        try:
            found = await self._engine.inspect_image(image.id)
            tags = [ImageName.parse(tag).reference for tag in found.get("RepoTags") or []]
            if tags and is_newest_build(image.name):
                # The next build begins from what the engine keeps of it, and takes the name away from it.
                return image.name.reference not in tags
            if self.is_obtaining:
                return False
            if set(tags) <= {image.name.reference}:
                await self._engine.remove_image(image.id)
                name = image.name.reference
                log.info("removed the image {name} ({id}): it is not needed any more", name=name, id=image.id)
        except (NotFound, Conflict):
            pass  # It is gone, or in use: then it is another's now.
        return True

    async def _look(self) -> list[Kept]:
        found = await self._engine.containers_with(app_label(self._versions.app))
        kept = [_kept(container) for container in found if is_kept(_name(container))]
        return _newest_first(kept)

    async def _recipe_of(self, name: str) -> Recipe:
        return await self._versions.recipe_of(await self._engine.inspect_container(name))


def _newest_first(kept: Iterable[Kept]) -> list[Kept]:
    return sorted(kept, key=lambda one: -one.generation)


def _name(container: Mapping[str, Any]) -> str:
    name: str = container["Names"][0]
    return name.lstrip("/")


def _kept(container: Mapping[str, Any]) -> Kept:
    # As the engine lists it, which is less than an inspection tells.
    found = {"Image": container["ImageID"], "Config": {"Labels": container["Labels"]}}
    return Kept(generation_of(container["Labels"]), _name(container), image_in(found))
