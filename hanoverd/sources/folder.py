"""An image built from the Dockerfile of a folder."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from hanoverd.edges.blocking_engine import Abort, context_files
from hanoverd.edges.engine import Engine
from hanoverd.errors import EngineRefused, ObtainFailed
from hanoverd.model.container import Image
from hanoverd.model.images import ImageName
from hanoverd.sources import Progress
from hanoverd.sources.images import image_of

DOCKERFILE = "Dockerfile"

#: Up to which size, in bytes, a build context is packed in memory.
SMALL = 16 * 1024 * 1024

#: How many lines of a failed build's output its message holds.
TAIL = 20


class FolderSource:
    """Builds the folder ``folder``, tagged ``name``."""

    def __init__(self, engine: Engine, folder: Path, name: ImageName) -> None:
        self._engine = engine
        self._folder = folder
        self._name = name

    def describe(self) -> str:
        """What it will do, for the log."""
        return f"build {self._folder}"

    async def obtain(self, progress: Progress) -> Image:
        """Build with the engine's classic builder.  Cancel aborts the build, which removes its container."""
        check_dockerfile(self._folder)
        errors: list[str] = []
        tail: deque[str] = deque(maxlen=TAIL)

        def on_event(event: Mapping[str, Any]) -> None:
            if "error" in event:
                errors.append(str(event["error"]).strip())
            for line in _lines(event):
                tail.append(line)
                progress(line)

        found = None
        try:
            found = await self._engine.build(self._pack, self._name.reference, on_event)
        except EngineRefused as error:
            # A Dockerfile that does not parse is refused as a whole.
            errors.append(str(error))
        if errors:
            output = "".join(f"\n    {line}" for line in tail)
            raise ObtainFailed(f"the build of {self._folder} failed: {errors[-1]}{output}")
        if found is None:
            raise ObtainFailed(f"the build of {self._folder} ended without an image: the engine broke it off")
        return image_of(found, self._name)

    def _pack(self, abort: Abort) -> IO[bytes]:
        """The build context as a tar; the caller closes it.  Runs in a thread."""
        with ExitStack() as undo:
            try:
                names = context_files(str(self._folder), self._ignore_patterns(), DOCKERFILE)
                context = undo.enter_context(_room_for(self._folder, names))
                with tarfile.open(fileobj=context, mode="w") as tar:
                    for name in names:
                        abort.check()
                        _add(tar, self._folder, name)
            except OSError as error:
                raise ObtainFailed(
                    f"cannot read the build context {self._folder}: {error}. Mend it, or leave the file out by "
                    ".dockerignore"
                ) from error
            context.seek(0)
            undo.pop_all()
            return context

    def _ignore_patterns(self) -> list[str]:
        try:
            lines = (self._folder / ".dockerignore").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def check_dockerfile(folder: Path) -> None:
    """Fail with ``ObtainFailed`` where there is nothing to build."""
    try:
        (folder / DOCKERFILE).open("rb").close()
    except FileNotFoundError:
        raise ObtainFailed(
            f"there is no Dockerfile in {folder}: run hanoverd in a folder that has one, or name an image "
            "(`hanoverd IMAGE`)"
        ) from None
    except OSError as error:
        raise ObtainFailed(
            f"cannot read {folder / DOCKERFILE}: {error.strerror}: hanoverd runs as user {os.geteuid()}"
        ) from None


def _room_for(folder: Path, names: Sequence[str]) -> IO[bytes]:
    if sum((folder / name).lstat().st_size for name in names) > SMALL:
        return tempfile.TemporaryFile()
    # Not on the disk, where making and dropping a file holds up the engine's own writes; nor in Python's memory, which
    # would keep the room that it once had.
    return os.fdopen(os.memfd_create("build context"), "w+b")


def _add(tar: tarfile.TarFile, folder: Path, name: str) -> None:
    entry = tar.gettarinfo(str(folder / name), arcname=name)
    if entry is None:
        return  # A socket: tar has no such thing, and Docker's client leaves it out too.
    # As Docker's client packs them: whoever builds, the files are root's.
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    if entry.isreg():
        with (folder / name).open("rb") as content:
            tar.addfile(entry, content)
    else:
        tar.addfile(entry)


def _lines(event: Mapping[str, Any]) -> list[str]:
    text = event.get("stream") or event.get("status") or ""
    return [line for line in str(text).splitlines() if line.strip()]
