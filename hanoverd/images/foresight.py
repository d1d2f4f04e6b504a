"""What the next image will be, as far as that is known before it is built, pulled or loaded."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.images import Source
from hanoverd.images.folder import FolderSource
from hanoverd.images.git import GitSource
from hanoverd.images.registry import RegistrySource
from hanoverd.spec.container import Image
from hanoverd.spec.differences import IMAGE, Difference
from hanoverd.text.short_id import short_id


@dataclass(frozen=True)
class NextImage:
    """The next image: ``shown`` for people, and its ``id`` and ``revision``, None where they are not known.

    ``is_built``: it is built, and the same revision can be built differently.
    """

    shown: str
    id: str | None = None
    revision: str | None = None
    is_built: bool = False


async def foresee(source: Source) -> NextImage:
    """Return what ``source`` would obtain now.  Nothing is built, pulled or loaded; a registry or a git host may be asked.

    Fails with ``ObtainFailed``, or with ``EngineError`` or its subclasses.  Cancel ends the question.
    """
    if isinstance(source, RegistrySource):
        present = await source.present()
        if present is not None:
            return NextImage(present.name.reference, present.id)
        return NextImage(source.reference, revision=await source.next_digest())
    is_built = isinstance(source, FolderSource | GitSource)
    return NextImage(source.describe(), revision=await source.newest(), is_built=is_built)


def image_difference(live: Image, following: NextImage) -> Difference | None:
    """Return how the next image differs from that of the live version; None if it is the same."""
    name = live.name.reference
    if following.id is not None:
        if following.id == live.id:
            return None
        return Difference(IMAGE, _named(name, live.id), _named(following.shown, following.id))
    if following.revision is None or following.is_built or not live.revision:
        return Difference(IMAGE, _named(name, live.revision or live.id), _unknown(following), is_unknown=True)
    if following.revision == live.revision:
        return None
    return Difference(IMAGE, _named(name, live.revision), _named(following.shown, following.revision))


def _unknown(following: NextImage) -> str:
    shown = following.shown if following.revision is None else _named(following.shown, following.revision)
    return f"{shown}: unknown until it is {'built' if following.is_built else 'obtained'}"


def _named(name: str, digits: str) -> str:
    kind, _, rest = digits.rpartition(":")
    # As docker shows IDs.
    prefix = f"{kind}:" if kind and kind != "sha256" else ""
    return f"{name} ({prefix}{short_id(rest)})"
