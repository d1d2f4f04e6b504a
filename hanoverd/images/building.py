"""Builds folders, with the engine's classic builder or BuildKit, in one stage or in two."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO

from hanoverd.docker.abort import Abort
from hanoverd.docker.api import BuildRequest
from hanoverd.docker.build_context import PIECE, BuildContext
from hanoverd.docker.buildkit import BuildKit
from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.images import Progress, SourceContext
from hanoverd.images.first_stage import RUNTIME_DOCKERFILE, FirstStage
from hanoverd.images.obtained import image_of
from hanoverd.runtime.errors import EngineRefused, ObtainFailed, OperationFailed
from hanoverd.runtime.regular_files import open_below
from hanoverd.spec.build import AUTO, BUILDKIT
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from hanoverd.text.lines import Tail
from hanoverd.text.sizes import format_size

DOCKERFILE = "Dockerfile"

#: How much of the output of a build is shown, in bytes.
MOST_OUTPUT = 16 * 1024 * 1024


def find_build_context(folder: Path, file: Path | None, repository: Path | None = None) -> BuildContext:
    """Return the build context ``folder`` with the Dockerfile ``file``, which may be elsewhere (None: the folder's own).

    ``repository`` is the folder that both belong to.
    """
    if file is None:
        return BuildContext(folder, DOCKERFILE, repository)
    absolute = Path(os.path.normpath(folder / file))
    dockerfile = absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
    return BuildContext(folder, str(dockerfile), repository)


def read_dockerfile(build_context: BuildContext) -> str:
    """Return the Dockerfile; fails with ``ObtainFailed`` if it cannot be read, without a word of its content."""
    path = build_context.dockerfile_path
    try:
        return build_context.read_dockerfile().decode(errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        if path == build_context.folder / DOCKERFILE:
            raise ObtainFailed(
                f"there is no Dockerfile in {build_context.folder}: run hanoverd in a folder with a Dockerfile, use "
                "--build-file, or give an image (`hanoverd IMAGE`)"
            ) from None
        raise ObtainFailed(f"there is no Dockerfile {path} for {build_context.folder}") from None
    except PermissionError as error:
        raise ObtainFailed(f"cannot read {path}: {error.strerror}: hanoverd runs as user {os.geteuid()}") from None
    except OSError as error:
        raise ObtainFailed(f"cannot read {path}: {error.strerror}") from None


def has_two_stages(folder: Path) -> bool:
    """Return whether the output of the folder's image is the build context of the final image.

    Fails with ``ObtainFailed`` if the file that says so is not a regular file of the folder.
    """
    try:
        with open_below(folder, RUNTIME_DOCKERFILE):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ObtainFailed(f"cannot read {folder / RUNTIME_DOCKERFILE}: {error.strerror}") from None


class Builds:
    """Builds folders with the options of one app."""

    def __init__(self, context: SourceContext) -> None:
        self._context = context
        self._options = context.build
        self._buildkit = BuildKit(context.reactor, context.environ)
        self._first_stage = FirstStage(context)

    async def build(
        self, build_context: BuildContext, name: ImageName, progress: Progress, revision: str | None = None
    ) -> Image:
        """Build ``build_context`` as ``name``. If it has a ``runtime/Dockerfile``, run the image, and build its output as
        ``NAME-runtime``.

        Fails with ``ObtainFailed``, or with ``EngineError`` or its subclasses. Cancel aborts the build, and removes its
        container.
        """
        image = await self._build_folder(build_context, name, progress, revision)
        if not has_two_stages(build_context.folder):
            return image
        runtime = ImageName(f"{name.repository}-runtime", name.tag)
        return await self._build_output(image, runtime, progress, revision)

    async def _build_folder(
        self, build_context: BuildContext, name: ImageName, progress: Progress, revision: str | None
    ) -> Image:
        dockerfile = read_dockerfile(build_context)
        output = _BuildOutput(str(build_context.folder), progress)
        if await self._wants_buildkit(build_context, dockerfile):
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
            platform=self._options.platform,
            logins=await self._context.credentials.all(),
        )
        pack = partial(build_context.pack, most=self._options.context_limit or None)
        return await self._build_classic(pack, request, name, output, revision)

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

    async def _wants_buildkit(self, build_context: BuildContext, dockerfile: str) -> bool:
        if self._options.builder != AUTO:
            return self._options.builder == BUILDKIT
        reason = buildkit_only(dockerfile)
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
        async with self._first_stage.output(image) as tar:
            output = _BuildOutput(f"the output of {image.name.reference}", progress)
            request = BuildRequest(
                tag=name.reference, platform=self._options.platform, logins=await self._context.credentials.all()
            )
            return await self._build_classic(lambda abort: _pieces(tar, abort), request, name, output, revision)


class _BuildOutput:
    """Shows the output of a build of ``subject``, and keeps its last lines for an error message."""

    def __init__(self, subject: str, progress: Progress) -> None:
        self._subject = subject
        self._progress = progress
        self._tail = Tail()
        self._left = MOST_OUTPUT

    def line(self, line: str) -> None:
        """Show one line, unless the build has printed too much."""
        self._tail.add(line)
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        self._progress(line)
        if self._left <= 0:
            self._progress(f"the build printed more than {format_size(MOST_OUTPUT)}: the rest is not shown")

    def failure(self, reason: str) -> ObtainFailed:
        """Return the error for a build that failed, with its last lines."""
        return ObtainFailed(f"the build of {self._subject} failed: {reason}{self._tail}")


def _pieces(file: IO[bytes], abort: Abort) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        abort.check()
        yield piece
