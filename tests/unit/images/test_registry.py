"""Pulls, with an engine that does what a test says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.images.registry import RegistrySource
from hanoverd.runtime.errors import ObtainFailed
from tests.fakes.source_context import source_context

PINNED, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


class _Engine:
    """Pulls an image with this digest."""

    def __init__(self, digest: str) -> None:
        self._digest = digest

    async def pull(
        self, _repository: str, _tag: str, _login: object, on_line: Callable[[str], object], _platform: object
    ) -> None:
        on_line(f"Digest: {self._digest}")

    async def inspect_image(self, reference: str) -> dict[str, Any]:
        return {"Id": f"image of {reference}", "Config": {}}


def source(name: str, digest: str) -> RegistrySource:
    """A source that pulls the image of this name, and gets the one with this digest."""
    return RegistrySource(name, source_context(reactor, _Engine(digest), Path("/"), pull="always"))


class PinnedTests(TestCase):
    async def test_an_image_is_the_one_with_the_digest_that_was_pulled(self) -> None:
        for name in (f"r.example/app@{PINNED}", "r.example/app:v1"):
            image = await source(name, PINNED).obtain(lambda line: None)
            self.assertEqual((image.id, image.revision), (f"image of r.example/app@{PINNED}", PINNED))

    async def test_another_image_than_the_one_with_the_digest_is_refused(self) -> None:
        with self.assertRaisesRegex(ObtainFailed, f"the engine pulled {OTHER} instead"):
            await source(f"r.example/app@{PINNED}", OTHER).obtain(lambda line: None)
