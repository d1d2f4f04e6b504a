"""Whether a handover would change anything."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from hanoverd.deploy.retention import Retention
from hanoverd.deploy.state import State
from hanoverd.runtime.errors import NotFound
from hanoverd.spec.container import Recipe
from hanoverd.spec.differences import is_same
from hanoverd.versions.version import Running
from hanoverd.versions.versions import Versions

log = Logger()


class NothingToDo(Exception):  # not an error
    """The version ``live`` is what a handover would create."""

    def __init__(self, live: int) -> None:
        super().__init__()
        self.live = live


async def skip_if_unchanged(
    versions: Versions, retention: Retention, state: Callable[[], State], recipe: Recipe
) -> None:
    """Raise ``NothingToDo`` if the live version is what ``recipe`` would make, and is ready; see ``unchanged_version``.

    A name that only the obtained image has is removed then: the version that it is for is not created.
    """
    live = await unchanged_version(versions, state, recipe)
    if live is not None:
        await retention.remove_second_name(recipe.image, live.created.image)
        raise NothingToDo(live.number)


async def unchanged_version(versions: Versions, state: Callable[[], State], recipe: Recipe) -> Running | None:
    """Return the live version if a new version of ``recipe`` would be the same, and it is ready; None if a handover is needed.

    The live version is probed once: one that does not answer, or that is about to be replaced, is no reason to skip a
    handover.  Fails with the ``EngineError`` family.  Cancel ends the probe.
    """
    version = state().steady_live
    running = None if version is None else versions.running(version.number)
    if running is None:
        return None
    try:
        if not is_same(await versions.requested_recipe(running), recipe):
            return None
    except NotFound:
        return None
    reason = await versions.failure_reason(running)
    if reason is not None:
        log.info(
            "{version}: unchanged, but not ready: {reason}; a new version replaces it",
            event="unchanged_unready",
            version=running.name,
            reason=reason,
        )
        return None
    # Something may have happened to it meanwhile.
    return running if state().steady_live == version else None
