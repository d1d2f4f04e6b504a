"""BuildKit, through the docker command: the engine's own API offers it to nobody else."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hanoverd.docker.build_context import BuildContext
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.spec.build import BuildOptions

#: Docker's command builds with BuildKit by itself from the first to, not with, the second; then by its plugin buildx.
_BUILT_IN = (18, 9), (23, 0)

_VERSION = re.compile(r"Docker version (\d+)\.(\d+)")


class BuildKit:
    """The docker commands that there are on the PATH of ``environ``."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        # "default" is the engine itself: another builder would keep the image to itself.
        self._environ = {**environ, "DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
        self._command: str | None = None

    async def is_there(self) -> bool:
        """Whether a docker command that has BuildKit is on PATH; cancel ends the one that is asked."""
        return await self._find() is not None

    async def build(
        self, context: BuildContext, tag: str, options: BuildOptions, on_line: Callable[[str], object]
    ) -> str | None:
        """Build, and fire with the image's ID, or None where the build fails; its output goes to ``on_line``.

        Fails with ``ObtainFailed`` where no docker command has BuildKit.  Cancel ends the build.
        """
        command = await self._find()
        if command is None:
            raise ObtainFailed(
                "no docker command on PATH has BuildKit: install Docker's buildx plugin (docker-buildx), or build "
                "with --builder classic"
            )
        with tempfile.TemporaryDirectory(prefix="hanoverd-build-") as folder:
            id_file = Path(folder, "id")
            argv = [command, "build", "--progress=plain", f"--iidfile={id_file}", f"--tag={tag}"]
            argv += [f"--file={context.dockerfile_path}"]
            arguments, environ = self._build_args(options)
            argv += arguments
            argv += [f"--target={options.target}"] if options.target else []
            argv += ["--no-cache"] if options.no_cache else []
            ended = await run(self._reactor, [*argv, str(context.folder)], environ, on_line=on_line, with_children=True)
            return id_file.read_text().strip() if ended.code == 0 else None

    def _build_args(self, options: BuildOptions) -> tuple[list[str], Mapping[str, str]]:
        """The arguments, and the environment from which the docker command takes their values: there, other users cannot
        see them.
        """
        arguments, environ = [], dict(self._environ)
        for name, value in options.args.items():
            if value is None:
                continue
            if name in self._environ or name.startswith(("DOCKER", "BUILD")):
                # It would mean something to the docker command itself.
                arguments.append(f"--build-arg={name}={value}")
            else:
                arguments.append(f"--build-arg={name}")
                environ[name] = value
        return arguments, environ

    async def _find(self) -> str | None:
        if self._command is not None and os.access(self._command, os.X_OK):
            return self._command
        for folder in self._environ.get("PATH", "").split(os.pathsep):
            # An empty entry would mean the current folder, which may be somebody's repository.
            command = f"{folder}/docker"
            if folder.startswith("/") and os.access(command, os.X_OK) and await self._has_buildkit(command):
                self._command = command
                return command
        return None

    async def _has_buildkit(self, command: str) -> bool:
        version = _VERSION.match((await run(self._reactor, [command, "--version"], self._environ)).stdout)
        if version and _BUILT_IN[0] <= (int(version[1]), int(version[2])) < _BUILT_IN[1]:
            return True
        return (await run(self._reactor, [command, "buildx", "version"], self._environ)).code == 0
