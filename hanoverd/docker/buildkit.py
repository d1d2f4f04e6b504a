"""BuildKit, by the docker command: the engine's API supports it for Docker's own client only."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from hanoverd.docker import quirks
from hanoverd.docker.build_context import BuildContext
from hanoverd.runtime.capabilities import Keep
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.runtime.processes import ProcessReactor, run
from hanoverd.runtime.search_path import find_programs
from hanoverd.spec.build import BuildOptions

#: The docker command has BuildKit built in from the first version on, and needs the plugin buildx from the second on.
_BUILT_IN_SINCE, _PLUGIN_SINCE = (18, 9), (23, 0)

#: Variables that the docker command, its plugins and its libraries use themselves.
_STEERING = re.compile(
    r"DOCKER_(API_VERSION|AUTH_CONFIG|BUILDKIT|CERT_PATH|CLI_\w+|CONFIG|CONTENT_TRUST\w*|CONTEXT|CUSTOM_HEADERS)"
    r"|DOCKER_(DEFAULT_PLATFORM|HOST|TLS|TLS_VERIFY)|(BUILDKIT|BUILDX|LD|OTEL|XDG)_\w+|SSL_CERT_(DIR|FILE)"
    r"|GODEBUG|GOTRACEBACK|HOME|PATH|SSH_AUTH_SOCK|TMPDIR"
)


class BuildKit:
    """Builds with the first docker command on the PATH of ``environ`` that has BuildKit."""

    def __init__(self, reactor: ProcessReactor, environ: Mapping[str, str]) -> None:
        self._reactor = reactor
        # "default" is the engine's own builder; images of other builders are not in the engine.
        self._environ = {**environ, "DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default"}
        self._command: str | None = None

    async def is_available(self) -> bool:
        """Return whether a docker command with BuildKit is on PATH. Cancel ends the command that is asked."""
        return await self._find() is not None

    async def build(
        self, context: BuildContext, tag: str, options: BuildOptions, on_line: Callable[[str], object]
    ) -> str | None:
        """Build ``context``, and return the image's ID, or None if the build fails; ``on_line`` takes its output.

        Fails with ``ObtainFailed`` if no docker command has BuildKit. Cancel ends the build.
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
            argv += [f"--platform={options.platform}"] if options.platform else []
            argv.append(str(context.folder))
            ended = await run(self._reactor, argv, environ, on_line=on_line, with_children=True, keep=Keep.READING)
            return id_file.read_text().strip() if ended.code == 0 else None

    def _build_args(self, options: BuildOptions) -> tuple[list[str], Mapping[str, str]]:
        """Return the arguments and the environment of the docker command.

        The values of build arguments are in the environment, where other users cannot see them: without a value,
        ``--build-arg`` takes it from there (https://docs.docker.com/reference/cli/docker/buildx/build/#build-arg).
        """
        arguments, environ = [], dict(self._environ)
        for name, value in options.args.items():
            if value is None:
                continue
            if environ.get(name) != value and _STEERING.fullmatch(name):
                # The docker command would use the variable itself.
                arguments.append(f"--build-arg={name}={value}")
            else:
                arguments.append(f"--build-arg={name}")
                environ[name] = value
        return arguments, environ

    async def _find(self) -> str | None:
        if self._command is not None and os.access(self._command, os.X_OK):
            return self._command
        for command in find_programs("docker", self._environ):
            if await self._has_buildkit(command):
                self._command = command
                return command
        return None

    async def _has_buildkit(self, command: str) -> bool:
        version = quirks.client_version((await run(self._reactor, [command, "--version"], self._environ)).stdout)
        if version is not None and _BUILT_IN_SINCE <= version < _PLUGIN_SINCE:
            return True
        return (await run(self._reactor, [command, "buildx", "version"], self._environ)).code == 0
