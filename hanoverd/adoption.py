"""What an earlier hanoverd of the app has left, whatever way it ended: found, and taken over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.logger import Logger

from hanoverd.edges.engine import Engine
from hanoverd.errors import HanoverdError, VersionFailed
from hanoverd.model.container import app_label
from hanoverd.model.inspection import generation_of
from hanoverd.model.names import is_kept
from hanoverd.retirement import Old
from hanoverd.switch import Switch
from hanoverd.version import Live, Versions

log = Logger()

#: How long a version that serves already may take to show that it is ready, in seconds.
READY_WITHIN = 5.0


@dataclass(frozen=True)
class Left:
    """What was found: the version that serves, and is ready; one that serves without being ready, which is better than
    nothing until the first flip; the ``former`` ones, which served before it and finish; all others, which nobody is led
    to; and the number of the next version.
    """

    live: Live | None
    makeshift: Old | None
    former: list[Old]
    others: list[Old]
    next_number: int


class Adoption:
    """Looks at the containers and the rules of ``app``: they are the memory, there is no other."""

    def __init__(self, engine: Engine, app: str, versions: Versions, switch: Switch) -> None:
        self._engine = engine
        self._app = app
        self._versions = versions
        self._switch = switch

    async def adopt(self) -> Left:
        """Make the version that the rules lead to the live one if it is ready, and take out rules that lead nowhere.

        Fails with ``HanoverdError``.  May be cancelled, and done again.
        """
        found = await self._engine.containers_with(app_label(self._app))
        olds = {old.name: old for old in map(_old, found) if not is_kept(old.name)}
        numbers = {_old(container).name: generation_of(container["Labels"]) for container in found}
        serving = await self._serving(olds)
        live = None if serving is None else await self._take_over(serving)
        makeshift = serving if live is None else None
        kept = {old.name for old in (live, makeshift) if old is not None}
        others = [old for old in olds.values() if old.name not in kept]
        for old in others:
            log.info("{name} was left by an earlier run: it is retired", name=old.name)
        # Whoever came after it has never served: its turn was still to come.
        before = -1 if serving is None else numbers[serving.name]
        former = [old for old in others if old.address is not None and numbers[old.name] < before]
        return Left(
            live, makeshift, former, [old for old in others if old not in former], max([-1, *numbers.values()]) + 1
        )

    async def _serving(self, olds: Mapping[str, Old]) -> Old | None:
        """The container that the rules lead to; rules that lead to none, or to another's address, are taken out."""
        led = await self._switch.leads_to()
        if led is None:
            return None
        name, address = led
        serving = olds.get(name)
        if serving is None or serving.address != address:
            log.warn("the rules lead to {name} at {address}, which is not there: removed", name=name, address=address)
            await self._switch.out()
            return None
        return serving

    async def _take_over(self, serving: Old) -> Live | None:
        try:
            # From a cancelled try, perhaps.
            await self._versions.look_away(serving.name)
            running = await self._versions.adopt(serving.name)
            if not self._switch.can_lead_to(running):
                raise VersionFailed("it does not have all the ports that are published now")
            ready = await self._versions.wait_until_ready(running, READY_WITHIN)
            live = await self._switch.flip(ready)
        except HanoverdError as error:
            log.warn(
                "{name} was left by an earlier run: it serves until the first flip, and is not watched: {error}",
                name=serving.name,
                error=error,
            )
            await self._versions.look_away(serving.name)
            return None
        log.info("{name} was left by an earlier run: it goes on serving, and is live", name=live.name)
        return live


def _old(container: Mapping[str, Any]) -> Old:
    """A container as the engine lists it."""
    networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = [network["IPAddress"] for network in networks.values() if network.get("IPAddress")]
    return Old(container["Names"][0].lstrip("/"), container["Id"], addresses[0] if addresses else None)
