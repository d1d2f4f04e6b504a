"""What is known of the next image before it is built, pulled or loaded."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from hanoverd.images import Source
from hanoverd.images.folder import FolderSource
from hanoverd.images.foresight import NextImage, foresee, image_difference
from hanoverd.images.registry import RegistrySource
from hanoverd.runtime.errors import NotFound, ObtainFailed
from hanoverd.spec.container import Image
from hanoverd.spec.differences import Difference
from hanoverd.spec.image_name import ImageName

ID, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
LIVE = Image(ID, ImageName.parse("web:v1"), (), revision=OTHER)


def result(work: Coroutine[Deferred[Any], Any, NextImage]) -> NextImage:
    values: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(values.append)
    [value] = values
    if isinstance(value, NextImage):
        return value
    raise value.value


class Engine:
    """An engine that has one image, or none, beside a registry."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.names:
            raise NotFound("inspect", 404, "no such image")
        return {"Id": ID, "RepoDigests": []}

    async def remote_digest(self, reference: str, _login: object) -> str:
        assert reference.startswith("web:")
        return OTHER


class Context:
    """What the sources use of theirs."""

    def __init__(self, pull: str | None, engine: Engine) -> None:
        self.pull, self.engine, self.credentials, self.reactor = pull, engine, self, None

    async def login(self, _registry: str) -> dict[str, str]:
        return {}


def registry(text: str, pull: str | None, *names: str) -> RegistrySource:
    context: Any = Context(pull, Engine(*names))
    return RegistrySource(text, context)


class Archive:
    """A source whose images have a revision."""

    def describe(self) -> str:
        return "load the archive app.tar"

    async def newest(self) -> str:
        return "etag"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (registry("web:v2", None, "web:v2"), NextImage("web:v2", ID)),
        (registry("web:v2", "never", "web:v2"), NextImage("web:v2", ID)),
        (registry("web:v2", None), NextImage("web:v2", revision=OTHER)),
        (registry("web:v2", "always", "web:v2"), NextImage("web:v2", revision=OTHER)),
        (registry(f"web@{ID}", "always"), NextImage(f"web@{ID}", revision=ID)),
        (registry(ID, "always", ID), NextImage(ID, ID)),
        (Archive(), NextImage("load the archive app.tar", revision="etag")),
    ],
)
def test_nothing_is_obtained_to_know_the_next_image(source: Source, expected: NextImage) -> None:
    assert result(foresee(source)) == expected


def test_an_image_that_may_not_be_pulled_is_an_error() -> None:
    with pytest.raises(ObtainFailed, match="the engine has no image web:v2"):
        result(foresee(registry("web:v2", "never")))


def test_a_folder_is_built() -> None:
    folder = FolderSource.__new__(FolderSource)
    folder.describe = lambda: "build /srv/app"  # type: ignore[method-assign]
    assert result(foresee(folder)) == NextImage("build /srv/app", is_built=True)


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        (NextImage("web:v2", ID), None),
        (NextImage("web:v2", OTHER), Difference("Image", "web:v1 (111111111111)", "web:v2 (222222222222)")),
        (NextImage("web:v2", revision=OTHER), None),
        (NextImage("web:v2", revision=ID), Difference("Image", "web:v1 (222222222222)", "web:v2 (111111111111)")),
        (
            NextImage("build /srv/app", is_built=True),
            Difference("Image", "web:v1 (222222222222)", "build /srv/app: unknown until it is built", is_unknown=True),
        ),
        (
            # Another base image, or another argument of the build.
            NextImage("build host/me/app", revision=OTHER, is_built=True),
            Difference(
                "Image",
                "web:v1 (222222222222)",
                "build host/me/app (222222222222): unknown until it is built",
                is_unknown=True,
            ),
        ),
        (
            NextImage("a plugin's"),
            Difference("Image", "web:v1 (222222222222)", "a plugin's: unknown until it is obtained", is_unknown=True),
        ),
    ],
)
def test_how_it_differs_from_the_live_one(following: NextImage, expected: Difference | None) -> None:
    assert image_difference(LIVE, following) == expected


def test_a_live_image_without_a_revision_may_be_the_same() -> None:
    live = Image(ID, ImageName.parse("web:v1"), ())
    found = image_difference(live, NextImage("web:v1", revision=OTHER))
    assert found == Difference(
        "Image", "web:v1 (111111111111)", "web:v1 (222222222222): unknown until it is obtained", is_unknown=True
    )
