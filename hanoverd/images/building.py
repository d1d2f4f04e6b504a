"""Builds folders: by the engine's classic builder or by BuildKit, in one stage or in two."""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from twisted.internet.defer import Deferred

from hanoverd.docker.abort import Abort
from hanoverd.docker.blocking_engine import BuildRequest
from hanoverd.docker.build_context import PIECE, BuildContext
from hanoverd.docker.buildkit import BuildKit
from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.images import Progress, SourceContext
from hanoverd.images.obtained import image_of
from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.errors import Conflict, EngineError, EngineRefused, ObtainFailed
from hanoverd.spec.build import AUTO, BUILDKIT
from hanoverd.spec.container import APP, Image, export_body
from hanoverd.spec.image_name import ImageName

DOCKERFILE = "Dockerfile"

#: A folder that has this builds an image whose output is the context of the image that runs.
RUNTIME_DOCKERFILE = f"runtime/{DOCKERFILE}"

#: How many lines of a failed build's output its message holds.
TAIL = 20


def find_build_context(folder: Path, file: Path | None) -> BuildContext:
    """The context that ``folder`` is, with the Dockerfile ``file``, which may be elsewhere (None: its own)."""
    if file is None:
        return BuildContext(folder, DOCKERFILE)
    absolute = Path(os.path.normpath(folder / file))
    return BuildContext(folder, str(absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute))


def check_dockerfile(build_context: BuildContext) -> None:
    """Fail with ``ObtainFailed`` where there is nothing to build."""
    path = build_context.dockerfile_path
    try:
        path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError):
        if path == build_context.folder / DOCKERFILE:
            raise ObtainFailed(
                f"there is no Dockerfile in {build_context.folder}: run hanoverd in a folder that has one, name it by "
                "--build-file, or name an image (`hanoverd IMAGE`)"
            ) from None
        raise ObtainFailed(f"there is no {path}, which is to be the Dockerfile of {build_context.folder}") from None
    except OSError as error:
        raise ObtainFailed(f"cannot read {path}: {error.strerror}: hanoverd runs as user {os.geteuid()}") from None


class Builds:
    """Builds folders for one app, as its options say."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._options = context.build
        self._buildkit = BuildKit(context.reactor, context.environ)

    async def build(
        self, build_context: BuildContext, name: ImageName, progress: Progress, revision: str | None = None
    ) -> Image:
        """Build ``build_context``, tagged ``name``, and what it prints if it has a ``runtime/Dockerfile``, tagged
        ``NAME-runtime``.

        Fails with ``ObtainFailed`` or the ``EngineError`` family.  Cancel aborts the build, which removes what it runs.
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
        what = str(build_context.folder)
        telling = _Telling(what, progress)
        if await self._wants_buildkit(build_context):
            image_id = await self._buildkit.build(build_context, name.reference, self._options, telling.line)
            if image_id is None:
                raise telling.failed("docker build has failed")
            return image_of(await self._context.engine.inspect_image(image_id), name, revision)
        request = BuildRequest(
            tag=name.reference,
            dockerfile=build_context.name_in_context,
            args=self._options.args,
            target=self._options.target,
            no_cache=self._options.no_cache,
            logins=await self._context.credentials.all(),
        )
        return await self._classic(build_context.pack, request, name, telling, revision)

    async def _classic(
        self,
        pack: Callable[[Abort], Iterator[bytes]],
        request: BuildRequest,
        name: ImageName,
        telling: _Telling,
        revision: str | None,
    ) -> Image:
        found = None
        try:
            found = await self._context.engine.build(pack, request, telling.event)
        except EngineRefused as error:
            # A Dockerfile that does not parse is refused as a whole.
            telling.errors.append(str(error))
        if telling.errors:
            raise telling.failed(telling.errors[-1])
        if found is None:
            raise ObtainFailed(f"the build of {telling.what} ended without an image: the engine broke it off")
        return image_of(found, name, revision)

    async def _wants_buildkit(self, build_context: BuildContext) -> bool:
        if self._options.builder != AUTO:
            return self._options.builder == BUILDKIT
        reason = buildkit_only(build_context.dockerfile_path.read_text(errors="replace"))
        if reason is None:
            return False
        if not await self._buildkit.is_there():
            raise ObtainFailed(
                f"{build_context.dockerfile_path} needs BuildKit ({reason}), and no docker command on PATH has it: install "
                "Docker's buildx plugin (docker-buildx), or do without it in the Dockerfile"
            )
        return True

    async def _build_output(self, image: Image, name: ImageName, progress: Progress, revision: str | None) -> Image:
        """Run an image, and build the tar that it prints."""
        # On disk, once: whether the output is good is known only when the container has ended well.
        with tempfile.TemporaryFile() as output:
            await self._export(image, output)
            output.seek(0)
            telling = _Telling(f"the output of {image.name.reference}", progress)
            request = BuildRequest(tag=name.reference, logins=await self._context.credentials.all())
            return await self._classic(lambda abort: _pieces(output, abort), request, name, telling, revision)

    async def _export(self, image: Image, output: IO[bytes]) -> None:
        engine, app = self._context.engine, self._context.app
        container = f"{app}-runtime-context"
        tail: deque[bytes] = deque(maxlen=TAIL)
        body = export_body(app, image.id)
        try:
            try:
                await engine.create(container, body)
            except Conflict:
                await self._remove_own(container)
                await engine.create(container, body)
            code = await engine.run(container, output.write, lambda data: tail.extend(data.splitlines()))
        finally:
            await shielded(Deferred.fromCoroutine(self._remove_own(container)))
        if code != 0 or not output.tell():
            how = f"exited with code {code}" if code else "printed nothing"
            lines = "".join(f"\n    {line.decode(errors='replace')}" for line in tail)
            raise ObtainFailed(
                f"{image.name.reference} {how}: as its folder has {RUNTIME_DOCKERFILE}, it is to print a tar, the build "
                f"context of the image that runs{lines and '; its standard error:'}{lines}"
            )

    async def _remove_own(self, container: str) -> None:
        """Remove what an earlier run may have left, too."""
        try:
            await self._context.engine.remove_if(container, APP, self._context.app)
        except EngineError:
            # The engine is gone, and then the next run of hanoverd finds it by its label.
            pass


class _Telling:
    """Shows a build's output as it comes, and keeps the end of it for the message of one that fails."""

    def __init__(self, what: str, progress: Progress) -> None:
        self.what = what
        self.errors: list[str] = []
        self._progress = progress
        self._tail: deque[str] = deque(maxlen=TAIL)

    def line(self, line: str) -> None:
        """One line of it."""
        self._tail.append(line)
        self._progress(line)

    def event(self, event: Mapping[str, Any]) -> None:
        """One event of the engine."""
        if "error" in event:
            self.errors.append(str(event["error"]).strip())
        for line in str(event.get("stream") or event.get("status") or "").splitlines():
            if line.strip():
                self.line(line)

    def failed(self, reason: str) -> ObtainFailed:
        """The error that tells it."""
        return ObtainFailed(f"the build of {self.what} failed: {reason}" + "".join(f"\n    {x}" for x in self._tail))


def _pieces(file: IO[bytes], abort: Abort) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        abort.check()
        yield piece
