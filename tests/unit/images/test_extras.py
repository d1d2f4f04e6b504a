"""Archives whose library is not installed: what to install is said at the start, or when it is needed."""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from hanoverd.docker.abort import Abort
from hanoverd.images.archive import ArchiveSource
from hanoverd.images.archive_location import ArchiveLocation
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.images.downloads import version_of
from hanoverd.runtime.errors import MissingExtra
from tests.fakes.source_context import source_context

S3 = f"pip install {shlex.quote('hanoverd[s3]')}`"
ZSTD = f"pip install {shlex.quote('hanoverd[zstd]')}`"


def archive(location: str, folder: Path) -> ArchiveSource:
    """The source of this archive; no engine is asked."""
    engine: Any = None
    reactor: Any = None
    return ArchiveSource(location, source_context(reactor, engine, folder))


@pytest.fixture
def _missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("boto3", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.mark.parametrize(
    ("location", "command"),
    [
        ("s3://bucket/app.tar", S3),
        ("https://files.example/app.tar.zst", ZSTD),
        ("https://files.example/app.tar.zstd?signature=x", ZSTD),
    ],
)
@pytest.mark.usefixtures("_missing")
def test_a_missing_library_is_reported_at_the_start(location: str, command: str, tmp_path: Path) -> None:
    with pytest.raises(MissingExtra) as caught:
        archive(location, tmp_path).check()
    assert command in str(caught.value)
    assert sys.executable in str(caught.value)


@pytest.mark.usefixtures("_missing")
def test_other_archives_need_none(tmp_path: Path) -> None:
    (tmp_path / "app.tar.gz").touch()
    archive("app.tar.gz", tmp_path).check()
    archive("https://files.example/app.tar", tmp_path).check()


def test_an_installed_library_is_found(tmp_path: Path) -> None:
    archive("s3://bucket/app.tar.zst", tmp_path).check()


@pytest.mark.usefixtures("_missing")
def test_a_missing_library_is_reported_when_it_is_needed() -> None:
    compressed = io.BytesIO(b"\x28\xb5\x2f\xfd and so on")
    with pytest.raises(MissingExtra) as caught:
        list(repacked(compressed, Wanted("app.tar", "web"), Contents(), Abort()))
    assert ZSTD in str(caught.value)
    with pytest.raises(MissingExtra):
        version_of(ArchiveLocation.parse("s3://bucket/app.tar", Path("/")), Abort())
