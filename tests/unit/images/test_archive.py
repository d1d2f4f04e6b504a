"""Archives as a source, with an engine that does what a test says."""

from __future__ import annotations

import hashlib
import socket
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.docker.abort import Abort
from hanoverd.images.archive import ArchiveSource
from hanoverd.runtime.errors import NotFound, ObtainFailed, OperationFailed, UsageError
from hanoverd.spec.container import Image
from tests.fakes.source_context import source_context
from tests.unit.images.archives import CONFIG, LAYER, docker_files, tar, text

REACTOR: Any = reactor

IMAGE_ID = f"sha256:{hashlib.sha256(text(CONFIG)).hexdigest()}"
DIFF_ID = f"sha256:{hashlib.sha256(LAYER).hexdigest()}"


class _Engine:
    """Loads archives: it has ``images`` then, by ID and by name."""

    def __init__(self, images: Mapping[str, Mapping[str, Any]]) -> None:
        self._images = images
        self.is_reading = True
        self.error: str | None = None

    async def load(self, archive: Callable[[Abort], Iterable[bytes]], _: object) -> None:
        for piece in archive(Abort()):
            assert piece
            if not self.is_reading:
                break
        if self.error is not None:
            raise OperationFailed(self.error)

    async def inspect_image(self, reference: str) -> Mapping[str, Any]:
        if reference not in self._images:
            raise NotFound("cannot inspect the image", 404, "No such image")
        return self._images[reference]


def image(*layers: str, image_id: str = IMAGE_ID) -> dict[str, Any]:
    """An image as the engine describes it."""
    return {"Id": image_id, "Config": {}, "RootFS": {"Type": "layers", "Layers": list(layers)}}


class ArchiveTests(TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "app.tar").write_bytes(tar(docker_files("postgres:16")))

    async def load(self, engine: _Engine) -> Image:
        return await ArchiveSource("app.tar", source_context(reactor, engine, self.folder, "web")).obtain(
            lambda _: None
        )

    async def fails(self, engine: _Engine) -> str:
        with self.assertRaises(ObtainFailed) as raised:
            await self.load(engine)
        return str(raised.exception)

    async def test_the_image_is_found_by_its_id(self) -> None:
        found = await self.load(_Engine({IMAGE_ID: image(DIFF_ID), "hanoverd/web:16": image(image_id="another")}))
        self.assertEqual((found.id, found.name.reference, found.obtained), (IMAGE_ID, "hanoverd/web:16", True))

    async def test_else_it_is_found_by_our_name_for_it(self) -> None:
        # With containerd's image store, the ID is the digest of a manifest.
        found = await self.load(_Engine({"hanoverd/web:16": image(DIFF_ID, image_id="sha256:1")}))
        self.assertEqual((found.id, found.name.reference), ("sha256:1", "hanoverd/web:16"))

    async def test_it_is_never_found_by_the_name_that_the_archive_has_for_it(self) -> None:
        message = await self.fails(_Engine({"postgres:16": image(DIFF_ID)}))
        self.assertIn("the engine does not have the image of the archive", message)

    async def test_another_image_than_the_loaded_one_is_not_started(self) -> None:
        for layers in ((), ("sha256:1",), (DIFF_ID, DIFF_ID)):
            for name in (IMAGE_ID, "hanoverd/web:16"):
                message = await self.fails(_Engine({name: image(*layers)}))
                self.assertIn("the engine has another image than that of the archive", message)
        self.assertIn("another image", await self.fails(_Engine({IMAGE_ID: {"Id": IMAGE_ID, "Config": {}}})))

    async def test_an_engine_that_stops_reading_has_not_loaded_it(self) -> None:
        engine = _Engine({IMAGE_ID: image(DIFF_ID)})
        engine.is_reading = False
        self.assertIn("the engine did not read the whole archive", await self.fails(engine))
        engine.error = "no room"
        self.assertRegex(await self.fails(engine), "cannot load the archive .*app.tar: no room")

    async def test_an_invalid_location_is_refused_without_its_secrets(self) -> None:
        with self.assertRaises(UsageError) as raised:
            ArchiveSource("ftp://me:secret@h/x", source_context(reactor, None, self.folder))
        self.assertNotIn("secret", str(raised.exception))

    async def test_a_server_that_does_not_tell_the_version_is_given_up(self) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            mock.patch("hanoverd.images.archive.VERSION_TIMEOUT", 0.3),
        ):
            url = f"http://me:secret@127.0.0.1:{listening.getsockname()[1]}/a?secret"
            with self.assertRaises(ObtainFailed) as raised:
                await ArchiveSource(url, source_context(reactor, None, self.folder)).newest()
        self.assertIn("no answer within 300ms", str(raised.exception))
        self.assertNotIn("secret", str(raised.exception))
