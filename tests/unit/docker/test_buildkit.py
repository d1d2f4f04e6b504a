"""How the docker command is called for a build with BuildKit."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.docker.build_context import BuildContext
from hanoverd.docker.buildkit import BuildKit
from hanoverd.spec.build import BuildOptions

REACTOR: Any = reactor

#: A docker command that writes down how it was called.
_DOCKER = """#!{python}
import json, os, sys
if sys.argv[1] == "--version":
    print("Docker version 20.10.5, build 55c4c88")
else:
    with open({calls!r}, "w") as file:
        json.dump([sys.argv[1:], dict(os.environ)], file)
    for argument in sys.argv:
        if argument.startswith("--iidfile="):
            with open(argument.partition("=")[2], "w") as file:
                file.write("sha256:0123")
"""


class ArgumentTests(TestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls = self.folder / "calls"
        command = self.folder / "docker"
        command.write_text(_DOCKER.format(python=sys.executable, calls=str(self.calls)))
        command.chmod(0o755)

    async def built(self, args: dict[str, str | None], **environ: str) -> tuple[list[str], dict[str, str]]:
        """Build with build arguments, and return the arguments and the environment of the docker command."""
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        buildkit = BuildKit(REACTOR, {"PATH": path, "HOME": "/nowhere", **environ})
        context = BuildContext(self.folder, "Dockerfile")
        image = await buildkit.build(context, "app:latest", BuildOptions(args=args), lambda _: None)
        self.assertEqual(image, "sha256:0123")
        argv, found = json.loads(self.calls.read_text())
        return [argument for argument in argv if argument.startswith("--build-arg")], found

    async def test_no_value_is_among_the_arguments(self) -> None:
        secrets: dict[str, str | None] = {
            "TOKEN": "secret-1",
            "BUILD_TOKEN": "secret-2",
            "DOCKER_PASSWORD": "secret-3",
            "HOMEPAGE_KEY": "secret-4",
            "HTTP_PROXY": "http://user:secret-5@proxy",
            "EMPTY": "",
        }
        arguments, environ = await self.built(secrets, HTTP_PROXY="http://other", TOKEN="secret-1")
        self.assertEqual(arguments, [f"--build-arg={name}" for name in secrets])
        self.assertEqual({name: environ[name] for name in secrets}, secrets)

    async def test_a_variable_of_the_docker_command_with_the_same_value_is_not_among_the_arguments(self) -> None:
        arguments, environ = await self.built({"DOCKER_CONFIG": "/config"}, DOCKER_CONFIG="/config")
        self.assertEqual(arguments, ["--build-arg=DOCKER_CONFIG"])
        self.assertEqual(environ["DOCKER_CONFIG"], "/config")

    async def test_a_build_argument_does_not_change_what_the_docker_command_does(self) -> None:
        args = {"HOME": "/root", "BUILDX_BUILDER": "other", "LD_PRELOAD": "/x.so", "DOCKER_HOST": "tcp://other"}
        arguments, environ = await self.built(dict(args))
        self.assertEqual(arguments, [f"--build-arg={name}={value}" for name, value in args.items()])
        self.assertEqual((environ["HOME"], environ["BUILDX_BUILDER"]), ("/nowhere", "default"))
        self.assertFalse({"LD_PRELOAD", "DOCKER_HOST"} & set(environ))

    async def test_an_unset_argument_is_left_out(self) -> None:
        arguments, environ = await self.built({"A": None}, B="b")
        self.assertEqual(arguments, [])
        self.assertNotIn("A", environ)
