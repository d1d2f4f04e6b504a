"""Where an app's images come from, and how they are built or pulled."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanoverd.spec.build import BuildOptions
from hanoverd.spec.git_options import GitOptions
from hanoverd.spec.source_name import SourceName

#: The most bytes of an archive with an image, unless the user sets a limit: images of 10 GB are rare.
MAX_ARCHIVE_SIZE = 10 * 1024**3


@dataclass(frozen=True)
class SourceSpec:
    """A source of images.

    ``folder`` is the current folder at the start, ``state_folder`` keeps copies of repositories; both are absolute.
    ``state_folder`` is None for the folder of the user or the system. ``pull`` is None if the source decides.
    ``max_archive_size`` is the most bytes of an archive, also unpacked.
    """

    name: SourceName
    folder: str
    state_folder: str | None = None
    build: BuildOptions = field(default_factory=BuildOptions)
    pull: str | None = None
    git: GitOptions = field(default_factory=GitOptions)
    max_archive_size: int = MAX_ARCHIVE_SIZE
