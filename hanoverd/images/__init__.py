"""Sources of images: a module for each kind, found as a Twisted plugin.

Here: how to build, pull or load an image. Not here: when, and what runs with it (``deploy``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from twisted.internet.interfaces import IReactorThreads
from zope.interface import Attribute, Interface

from hanoverd.runtime.processes import ProcessReactor
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import Image
from hanoverd.spec.git_options import GitOptions
from hanoverd.spec.source import MAX_ARCHIVE_SIZE

if TYPE_CHECKING:
    from hanoverd.docker.credentials import Credentials
    from hanoverd.docker.engine import Engine

#: Takes a line of the output of a build or pull.
Progress = Callable[[str], object]


class Source(Protocol):
    """Obtains images for an app."""

    def describe(self) -> str:
        """Return what ``obtain`` does, for the log: "build /srv/app"."""
        ...

    def check(self) -> None:
        """Find errors at the start of the daemon; fails with ``HanoverdError``. May block."""
        ...

    async def obtain(self, progress: Progress, revision: str | None = None) -> Image:
        """Obtain the image of ``revision`` (a commit, from a trigger or from ``newest``), or the newest image.

        A source that cannot obtain a given revision obtains the newest image. Fails with ``ObtainFailed`` or with
        ``EngineError`` or its subclasses. Cancel also aborts the work on the engine.
        """
        ...

    async def newest(self) -> str | None:
        """Return the revision that ``obtain`` would return now (the image's ``revision``), without obtaining it; None if it
        cannot be known. Fails, and can be cancelled, as ``obtain``.
        """
        ...


class SourceReactor(ProcessReactor, ClientReactor, IReactorThreads):
    """The parts of a reactor that a source may use."""


@dataclass(frozen=True)
class SourceContext:
    """What a source may use, and the options for all sources.

    ``folder`` is the current folder at the start; ``state_folder`` is for data that is kept between runs; ``pull`` is
    ``always``, ``missing`` or ``never``, or None without ``--pull``. ``max_archive_size`` is the most bytes of an archive, also
    unpacked.
    """

    reactor: SourceReactor
    engine: Engine
    credentials: Credentials
    environ: Mapping[str, str]
    app: str
    folder: Path
    state_folder: Path
    build: BuildOptions
    pull: str | None = None
    git: GitOptions = field(default_factory=GitOptions)
    max_archive_size: int = MAX_ARCHIVE_SIZE


class ISourceKind(Interface):
    """A kind of source: a Twisted plugin in the folder ``twisted/plugins`` of a package.

    On the command line, ``SCHEME:TEXT`` in the place of IMAGE selects it.
    """

    scheme = Attribute("The text before the colon: letters, digits, ``+`` and ``-``.")

    def source(text: str, context: SourceContext) -> Source:  # noqa: N805  # interfaces have no self
        """Return the source for ``text``, the text after the colon; fails with ``UsageError`` if it is invalid."""
