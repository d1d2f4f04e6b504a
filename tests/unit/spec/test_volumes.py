"""Folders and volumes of ``--volume``."""

from __future__ import annotations

import pytest

from hanoverd.spec.volumes import AnonymousVolume, Bind, check_mount_points, check_volume, parse_volume

CWD = "/home/u/shop"


@pytest.mark.parametrize(
    ("text", "volume"),
    [
        ("/cache", AnonymousVolume("/cache")),
        ("/srv/x:/x", Bind("/srv/x:/x")),
        ("/srv/x:/x:ro", Bind("/srv/x:/x:ro")),
        ("/srv/x:/x:ro,Z,rslave", Bind("/srv/x:/x:ro,Z,rslave")),
        ("data:/x:nocopy,rw", Bind("data:/x:nocopy,rw")),
        ("./x:/x", Bind("/home/u/shop/x:/x")),
        (".:/x:cached", Bind("/home/u/shop:/x:cached")),
        ("../x/../y:/x", Bind("/home/u/y:/x")),
        (".cache:/x", Bind("/home/u/shop/.cache:/x")),
        # As docker reads them: a letter and a colon are a Windows drive, and two characters are a path.
        ("d:/x", AnonymousVolume("d:/x")),
        ("/x:d:/y", Bind("/x:d:/y")),
        (":x", AnonymousVolume(":x")),
        (":", AnonymousVolume(":")),
    ],
)
def test_a_source_with_a_dot_in_front_is_a_folder_here(text: str, volume: Bind | AnonymousVolume) -> None:
    assert parse_volume(text, CWD) == volume


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid empty volume spec"),
        (":/x", "invalid spec: :/x: empty section between colons"),
        ("/srv/x:", "invalid spec: /srv/x:: empty section between colons"),
        ("/srv/x:/x:", "invalid spec: /srv/x:/x:: empty section between colons"),
        ("/srv/x::rw", "invalid spec: /srv/x::rw: empty section between colons"),
        ("/srv/x:/x:rw:", "invalid spec: /srv/x:/x:rw:: too many colons"),
        ("/srv/x:/x:rw:/y", "invalid spec: /srv/x:/x:rw:/y: too many colons"),
    ],
)
def test_a_spec_with_wrong_sections_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_volume(text, CWD)
    assert str(caught.value) == message


@pytest.mark.parametrize("mode", ["readonly", "RO", "ro,rw", "z,Z", "shared,slave", "ro,", "cached,delegated"])
def test_a_mode_that_the_engine_does_not_have_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=f"^invalid mode: {mode} "):
        check_volume(parse_volume(f"/srv/x:/x:{mode}", CWD))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "invalid mount path: 'x' mount path must be absolute"),
        ("/", "destination can't be '/'"),
        ("/srv/x:x", "invalid mount path"),
        ("/srv/x:/y/..", "destination can't be '/'"),
        ("/srv/x:rw", "has no mode"),
        ("/srv/x:/x:nocopy", "field VolumeOptions must not be specified"),
        ("data:/x:shared", "field BindOptions must not be specified"),
        ("~/x:/x", "includes invalid characters for a local volume name"),
        ("sub/x:/x", "includes invalid characters for a local volume name"),
        ("7:/x", "volume name is too short"),
        ("d:/x", "Windows drive"),
        ("/srv/x:/x:ro,bogus", "invalid mode"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_at_the_start(text: str, reason: str) -> None:
    volume = parse_volume(text, CWD)
    with pytest.raises(ValueError) as caught:
        check_volume(volume)
    assert reason in str(caught.value)


def test_a_folder_whose_path_has_a_colon_cannot_be_written_so() -> None:
    with pytest.raises(ValueError, match="use --mount"):
        parse_volume("./x:/x", "/home/a:b")


def test_two_mounts_cannot_have_one_target() -> None:
    check_mount_points(["/x", "/y"])
    with pytest.raises(ValueError, match=r"^Duplicate mount point: /x$"):
        check_mount_points(["/x", "/y", "/x/"])
