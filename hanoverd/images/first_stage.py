"""Runs the image of the first of two stages, and keeps its output: the build context of the final image."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from twisted.internet.defer import Deferred

from hanoverd.images import SourceContext
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import Conflict, EngineError, ObtainFailed
from hanoverd.spec.container import APP, Image, export_body
from hanoverd.text.lines import LineCutter, Tail, text_of
from hanoverd.text.sizes import format_size

#: A folder with this file is built in two stages.
RUNTIME_DOCKERFILE = "runtime/Dockerfile"

#: Where the output is kept if there is neither TMPDIR nor a state folder: /tmp may be in memory (see file-hierarchy(7)).
_TEMPORARY = "/var/tmp"  # noqa: S108  # the file has no name there

#: How much space the output leaves on the disk, in bytes: live versions need it, too. On small disks it is a part of the disk.
_LEAST_FREE, _LEAST_FREE_PART = 1 << 30, 20

#: After how many bytes the free space is looked at.
_LOOK_AFTER = 16 * 1024 * 1024


class FirstStage:
    """Runs images of one app."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context

    @asynccontextmanager
    async def output(self, image: Image) -> AsyncIterator[IO[bytes]]:
        """Run ``image``, and yield a file with its output.

        The file has no name, so it is gone when it is closed, also if hanoverd is killed. Fails with ``ObtainFailed`` if the
        image exits with an error, prints nothing, or prints more than a build context may have. Cancel removes the
        container.
        """
        # In a file: only the exit code of the container says whether the output is complete.
        with self._open(image) as file:
            await self._run(image, _Output(image, file, self._context.build.context_limit))
            file.seek(0)
            yield file

    def _open(self, image: Image) -> IO[bytes]:
        reason = ""
        for folder in (self._context.environ.get("TMPDIR"), str(self._context.state_folder), _TEMPORARY):
            try:
                if folder:
                    return tempfile.TemporaryFile(dir=folder, buffering=0)
            except OSError as error:
                reason = f"{folder}: {error.strerror}"
        raise ObtainFailed(
            f"cannot keep the output of {image.name.reference}, {reason}: set TMPDIR to a folder that hanoverd can write to"
        )

    async def _run(self, image: Image, output: _Output) -> None:
        engine, app = self._context.engine, self._context.app
        container = f"{app}-runtime-context"
        tail, cutter = Tail(), LineCutter()

        def take_errors(data: bytes) -> None:
            for line in cutter.take(data):
                tail.add(text_of(line))

        body = export_body(app, image.id)
        try:
            try:
                await engine.create(container, body)
            except Conflict:
                await self._remove_own(container)
                await engine.create(container, body)
            code = await engine.run(container, output.write, take_errors)
        finally:
            await shielded(Deferred.fromCoroutine(self._remove_own(container)))
        if code != 0 or not output.size:
            reason = f"exited with code {code}" if code else "printed nothing"
            for line in cutter.rest():
                tail.add(text_of(line))
            raise ObtainFailed(
                f"{image.name.reference} {reason}: its folder has {RUNTIME_DOCKERFILE}, so it must print a tar, the build "
                f"context of the final image{'; its standard error:' if tail else ''}{tail}"
            )

    async def _remove_own(self, container: str) -> None:
        """Remove the container, or one that an earlier run has left."""
        try:
            await self._context.engine.remove_if(container, APP, self._context.app)
        except EngineError:
            pass  # The engine does not answer: the next start of hanoverd finds the container by its label.


class _Output:
    """Writes the output of ``image`` to a file, at most ``most`` bytes (0: any number). Used in the engine's thread."""

    def __init__(self, image: Image, file: IO[bytes], most: int) -> None:
        self._name = image.name.reference
        self._file = file
        self._most = most
        self._looked_at = -_LOOK_AFTER
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write a piece. Raises ``ObtainFailed``, which ends the run."""
        self.size += len(data)
        if 0 < self._most < self.size:
            raise ObtainFailed(
                f"{self._name} printed more than {format_size(self._most)} (--build-context-limit): it must print a tar, the "
                "build context of the final image. Leave out of it what the final image does not need, or raise the limit"
            )
        left = memoryview(data)
        try:
            if self.size - self._looked_at >= _LOOK_AFTER:
                self._looked_at = self.size
                _check_free_space(self._file)
            # An unbuffered file may take a part only.
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise ObtainFailed(
                f"cannot keep the output of {self._name} after {format_size(self.size)}: {error.strerror}: free some space, "
                "or set TMPDIR to another folder"
            ) from None


def _check_free_space(file: IO[bytes]) -> None:
    """Raise ``OSError`` if the disk of ``file`` has little free space."""
    disk = os.fstatvfs(file.fileno())
    least = min(_LEAST_FREE, disk.f_blocks * disk.f_frsize // _LEAST_FREE_PART)
    if disk.f_bavail * disk.f_frsize < least:
        raise OSError(errno.ENOSPC, f"less than {format_size(least)} are free on the disk")
