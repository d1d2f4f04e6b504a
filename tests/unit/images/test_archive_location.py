"""Where an archive is: what is accepted, and that messages have no secrets."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given

from hanoverd.images.archive_location import ArchiveLocation
from tests.unit.strategies import text_like

FOLDER = PurePosixPath("/srv/shop")
DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "location", "shown", "scheme"),
    [
        ("app.tar", "/srv/shop/app.tar", "/srv/shop/app.tar", ""),
        ("/a/b c.tar", "/a/b c.tar", "/a/b c.tar", ""),
        ("./me@host.tar", "/srv/shop/me@host.tar", "/srv/shop/me@host.tar", ""),
        ("https://h.example/app.tar", "https://h.example/app.tar", "https://h.example/app.tar", "https"),
        ("http://[::1]:80/a", "http://[::1]:80/a", "http://[::1]:80/a", "http"),
        ("https://me:secret@h/a?sig=secret#f", "https://me:secret@h/a?sig=secret#f", "https://h/a", "https"),
        ("https://me:se@cret@h/a", "https://me:se@cret@h/a", "https://h/a", "https"),
        ("s3://bucket/a b?c", "s3://bucket/a b?c", "s3://bucket/a b", "s3"),
    ],
)
def test_a_location_is_read(text: str, location: str, shown: str, scheme: str) -> None:
    expected = ArchiveLocation(location, shown, scheme, None)
    assert ArchiveLocation.parse(text, FOLDER) == expected
    assert ArchiveLocation.parse(f"{text}@sha256:{DIGEST}", FOLDER) == ArchiveLocation(location, shown, scheme, DIGEST)
    assert scheme == "" or "secret" not in repr(expected)


@pytest.mark.parametrize(
    "text",
    [
        "ftp://me:secret@h/x",
        "file:///secret",
        "data:secret",
        "s3://bucket",
        "s3:///secret",
        "s3://key:secret@bucket/a",
        "https:///secret",
        "https://h",
        "https://h/",
        "https://me:sec/ret@h/a",
        "https://me:secret@h:port/a",
        "https://me:secret@h:0/a",
        "https://me:secret@h:99999/a",
        "https://h/a?signature=a secret",
        "https://h/a\x7f?secret",
        "https://me:secret@h\u2100/a",
        "https://[me:secret@h/a",
    ],
)
def test_an_invalid_location_is_refused_without_its_secrets(text: str) -> None:
    with pytest.raises(ValueError, match="this location is not supported: use a PATH, https") as raised:
        ArchiveLocation.parse(text, FOLDER)
    assert "secret" not in str(raised.value)
    assert "ret@" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


@given(text_like("https://s3:@?#[].ab/ é\0%"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = ArchiveLocation.parse(text, FOLDER)
    except ValueError:
        return
    assert found.scheme == "" or "@" not in found.shown.partition("//")[2].partition("/")[0]
