"""The output of the first of two stages is kept within limits, and removed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from hanoverd.images import first_stage
from hanoverd.images.first_stage import FirstStage
from hanoverd.runtime.errors import Conflict, ObtainFailed
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import Image
from hanoverd.spec.image_name import ImageName
from tests.fakes.source_context import source_context

REACTOR: Any = reactor

IMAGE = Image("sha256:01", ImageName("app", "latest"), ())

Take = Callable[[bytes], object]


Program = Callable[[Take, Take], int]


def prints(*pieces: bytes) -> Program:
    """Return a program that prints ``pieces``."""

    def program(out: Take, _err: Take) -> int:
        for piece in pieces:
            out(piece)
        return 0

    return program


class DummyEngine:
    """Runs ``program`` in a thread instead of an image."""

    def __init__(self, program: Program) -> None:
        self.events: list[str] = []
        self._program = program
        self.conflicts = 0

    async def create(self, name: str, body: object) -> str:
        self.events.append(f"create {name}")
        if self.conflicts:
            self.conflicts -= 1
            raise Conflict("cannot create", 409, "the name is in use")
        return "id"

    async def run(self, name: str, on_stdout: Take, on_stderr: Take) -> int:
        return await deferToThread(self._program, on_stdout, on_stderr)

    async def remove_if(self, name: str, label: str, value: str) -> None:
        self.events.append(f"remove {name}")


class FirstStageTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name, "state")
        self.state.mkdir()

    async def output(
        self, program: Program, limit: int = 0, work: Callable[[Any], Awaitable[object]] | None = None, **environ: str
    ) -> tuple[bytes, str]:
        """Return the output of ``program``, and the file that it was in."""
        self.engine = DummyEngine(program)
        options = BuildOptions(context_limit=limit)
        context = source_context(
            REACTOR, self.engine, Path("/nowhere"), build=options, environ=environ, state_folder=self.state
        )
        async with FirstStage(context).output(IMAGE) as file:
            self.assertEqual(self.engine.events[-1], "remove app-runtime-context")
            if work is not None:
                await work(file)
            return file.read(), os.readlink(f"/proc/self/fd/{file.fileno()}")

    async def fails(self, program: Program, limit: int = 0) -> str:
        """Return the message with which a run fails, after a check that nothing is left."""
        try:
            await self.output(program, limit)
        except ObtainFailed as error:
            self.nothing_is_left()
            return str(error)
        raise AssertionError("it did not fail")

    def nothing_is_left(self) -> None:
        """Check that the container was removed, and the file."""
        self.assertEqual(self.engine.events[-1], "remove app-runtime-context")
        self.assertEqual(list(self.state.iterdir()), [])

    async def test_the_output_is_in_a_file_without_a_name_in_the_state_folder(self) -> None:
        def program(out: Take, _err: Take) -> int:
            out(b"a tar")
            out(b" in pieces")
            self.assertEqual(list(self.state.iterdir()), [])
            return 0

        content, path = await self.output(program)
        self.assertEqual(content, b"a tar in pieces")
        self.assertTrue(path.startswith(f"{self.state}/"), path)
        self.assertTrue(path.endswith(" (deleted)"), path)
        self.nothing_is_left()

    async def test_tmpdir_comes_first(self) -> None:
        (self.state / "tmp").mkdir()
        _, path = await self.output(prints(b"x"), TMPDIR=str(self.state / "tmp"))
        self.assertTrue(path.startswith(f"{self.state}/tmp/"), path)

    async def test_a_folder_that_does_not_exist_is_passed_over(self) -> None:
        self.state.rmdir()
        _, path = await self.output(prints(b"x"), TMPDIR="/nowhere")
        self.assertTrue(path.startswith("/var/tmp/"), path)
        self.state.mkdir()

    async def test_output_without_end_is_cut_off_at_the_limit(self) -> None:
        written = 0

        def program(out: Take, _err: Take) -> int:
            nonlocal written
            while True:
                out(bytes(1000))
                written += 1000

        message = await self.fails(program, 10_240)
        self.assertIn("app:latest printed more than 10KiB (--build-context-limit): it must print a tar", message)
        self.assertLessEqual(written, 10_240)

    async def test_output_as_large_as_the_limit_is_accepted(self) -> None:
        content, _ = await self.output(prints(bytes(100)), 100)
        self.assertEqual(len(content), 100)

    async def test_a_full_disk_is_reported_as_such(self) -> None:
        self.patch(tempfile, "TemporaryFile", lambda **_: open("/dev/full", "r+b", buffering=0))
        message = await self.fails(prints(b"x"))
        self.assertIn(
            "cannot keep the output of app:latest after 1B: No space left on device: free some space", message
        )

    async def test_the_disk_is_not_filled(self) -> None:
        free = [10 << 30, (1 << 30) - 1]
        self.patch(os, "fstatvfs", lambda _: SimpleNamespace(f_blocks=100 << 30, f_frsize=1, f_bavail=free.pop(0)))
        message = await self.fails(prints(b"x", bytes(16 << 20), b"x"))
        self.assertIn("after 16MiB: less than 1GiB are free on the disk: free some space, or set TMPDIR", message)

    async def test_a_missing_folder_is_reported(self) -> None:
        self.state.rmdir()
        self.patch(first_stage, "_TEMPORARY", "/nowhere")
        with self.assertRaises(ObtainFailed) as caught:
            await self.output(prints(b"x"))
        self.assertIn(
            "cannot keep the output of app:latest, /nowhere: No such file or directory", str(caught.exception)
        )

    async def test_errors_without_end_need_little_memory(self) -> None:
        def program(_out: Take, err: Take) -> int:
            for _ in range(1000):
                err(b"e" * 10_000)
            return 3

        message = await self.fails(program)
        self.assertIn("app:latest exited with code 3", message)
        self.assertLess(len(message), 50_000)

    async def test_no_output_is_a_failure(self) -> None:
        self.assertIn("app:latest printed nothing", await self.fails(prints()))

    async def test_the_container_of_an_earlier_run_is_replaced(self) -> None:
        self.engine = DummyEngine(prints(b"x"))
        self.engine.conflicts = 1
        context = source_context(REACTOR, self.engine, Path("/nowhere"), state_folder=self.state)
        async with FirstStage(context).output(IMAGE):
            pass
        name = "app-runtime-context"
        self.assertEqual(self.engine.events, [f"create {name}", f"remove {name}", f"create {name}", f"remove {name}"])

    async def test_a_cancel_removes_the_file(self) -> None:
        waiting: Deferred[None] = Deferred()
        entered: Deferred[None] = Deferred()

        async def work(_file: object) -> None:
            REACTOR.callLater(0, entered.callback, None)
            await waiting

        output = Deferred.fromCoroutine(self.output(prints(b"x"), work=work))
        await entered
        output.cancel()
        with self.assertRaises(CancelledError):
            await output
        self.nothing_is_left()
