"""Builds folders, with the engine's classic builder or BuildKit, in one stage or in two."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from twisted.internet.defer import Deferred

from hanoverd.docker.abort import Abort
from hanoverd.docker.api import BuildRequest
from hanoverd.docker.build_context import PIECE, BuildContext
from hanoverd.docker.buildkit import BuildKit
from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import Conflict, EngineError, EngineRefused, ObtainFailed, OperationFailed
from hanoverd.spec.build import AUTO, BUILDKIT
from hanoverd.spec.container import APP, Image, export_body
from hanoverd.spec.image_name import ImageName
from hanoverd.text.lines import LineCutter, Tail, text_of

DOCKERFILE = "Dockerfile"

#: If a folder has this file, its image is run, and prints the build context of the final image.
RUNTIME_DOCKERFILE = f"runtime/{DOCKERFILE}"


def find_build_context(folder: Path, file: Path | None) -> BuildContext:
    """Return the build context ``folder`` with the Dockerfile ``file``, which may be elsewhere (None: the folder's own)."""
    if file is None:
        return BuildContext(folder, DOCKERFILE)
    absolute = Path(os.path.normpath(folder / file))
    return BuildContext(folder, str(absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute))


def check_dockerfile(build_context: BuildContext) -> None:
    """Fail with ``ObtainFailed`` if the Dockerfile cannot be read."""
    path = build_context.dockerfile_path
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        if path == build_context.folder / DOCKERFILE:
            raise ObtainFailed(
                f"there is no Dockerfile in {build_context.folder}: run hanoverd in a folder with a Dockerfile, use "
                "--build-file, or give an image (`hanoverd IMAGE`)"
            ) from None
        raise ObtainFailed(f"there is no Dockerfile {path} for {build_context.folder}") from None
    except OSError as error:
        raise ObtainFailed(f"cannot read {path}: {error.strerror}: hanoverd runs as user {os.geteuid()}") from None


class Builds:
    """Builds folders with the options of one app."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._options = context.build
        self._buildkit = BuildKit(context.reactor, context.environ)

    async def build(
        self, build_context: BuildContext, name: ImageName, progress: Progress, revision: str | None = None
    ) -> Image:
        """Build ``build_context`` as ``name``. If it has a ``runtime/Dockerfile``, run the image, and build its output as
        ``NAME-runtime``.

        Fails with ``ObtainFailed``, or with ``EngineError`` or its subclasses. Cancel aborts the build, and removes its
        container.
        """
        image = await self._build_folder(build_context, name, progress, revision)
        if not (build_context.folder / RUNTIME_DOCKERFILE).is_file():
            return image
        runtime = ImageName(f"{name.repository}-runtime", name.tag)
        return await self._build_output(image, runtime, progress, revision)

    async def _build_folder(
        self, build_context: BuildContext, name: ImageName, progress: Progress, revision: str | None
    ) -> Image:
        check_dockerfile(build_context)
        output = _BuildOutput(str(build_context.folder), progress)
        if await self._wants_buildkit(build_context):
            image_id = await self._buildkit.build(build_context, name.reference, self._options, output.line)
            if image_id is None:
                raise output.failure("docker build exited with an error")
            return image_of(await self._context.engine.inspect_image(image_id), name, revision)
        request = BuildRequest(
            tag=name.reference,
            dockerfile=build_context.name_in_context,
            args=self._options.args,
            target=self._options.target,
            no_cache=self._options.no_cache,
            logins=await self._context.credentials.all(),
        )
        return await self._build_classic(build_context.pack, request, name, output, revision)

    async def _build_classic(
        self,
        pack: Callable[[Abort], Iterator[bytes]],
        request: BuildRequest,
        name: ImageName,
        output: _BuildOutput,
        revision: str | None,
    ) -> Image:
        try:
            found = await self._context.engine.build(pack, request, output.line)
        except (EngineRefused, OperationFailed) as error:
            # The engine refuses a request with an invalid Dockerfile; a step that fails is an event.
            raise output.failure(str(error)) from None
        if found is None:
            raise output.failure("the engine interrupted it")
        return image_of(found, name, revision)

    async def _wants_buildkit(self, build_context: BuildContext) -> bool:
        if self._options.builder != AUTO:
            return self._options.builder == BUILDKIT
        reason = buildkit_only(build_context.dockerfile_path.read_text(errors="replace"))
        if reason is None:
            return False
        if not await self._buildkit.is_available():
            raise ObtainFailed(
                f"{build_context.dockerfile_path} needs BuildKit ({reason}), and no docker command on PATH has it: install "
                "Docker's buildx plugin (docker-buildx), or change the Dockerfile"
            )
        return True

    async def _build_output(self, image: Image, name: ImageName, progress: Progress, revision: str | None) -> Image:
        """Run an image, and build its output, a tar."""
        # In a file: only the exit code of the container says whether the tar is complete.
        with tempfile.TemporaryFile() as tar:
            await self._export(image, tar)
            tar.seek(0)
            output = _BuildOutput(f"the output of {image.name.reference}", progress)
            request = BuildRequest(tag=name.reference, logins=await self._context.credentials.all())
            return await self._build_classic(lambda abort: _pieces(tar, abort), request, name, output, revision)

    async def _export(self, image: Image, tar: IO[bytes]) -> None:
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
            code = await engine.run(container, tar.write, take_errors)
        finally:
            await shielded(Deferred.fromCoroutine(self._remove_own(container)))
        if code != 0 or not tar.tell():
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


class _BuildOutput:
    """Shows the output of a build of ``subject``, and keeps its last lines for an error message."""

    def __init__(self, subject: str, progress: Progress) -> None:
        self._subject = subject
        self._progress = progress
        self._tail = Tail()

    def line(self, line: str) -> None:
        """Show one line."""
        self._tail.add(line)
        self._progress(line)

    def failure(self, reason: str) -> ObtainFailed:
        """Return the error for a build that failed, with its last lines."""
        return ObtainFailed(f"the build of {self._subject} failed: {reason}{self._tail}")


def _pieces(file: IO[bytes], abort: Abort) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        abort.check()
        yield piece
