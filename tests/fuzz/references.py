"""The names of images and repositories, and the values of ``--publish``, ``--volume`` and ``--mount``."""

from __future__ import annotations

import json
import posixpath
import re

from hanoverd.spec.git_location import GitLocation, check_branch, parse_git
from hanoverd.spec.git_submodules import parse_gitmodules, submodule_location
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.mounts import check_mount, parse_mount
from hanoverd.spec.ports import PortRequest, check_conflicts, parse_publish
from hanoverd.spec.source_name import SourceName, parse_source
from hanoverd.spec.volumes import AnonymousVolume, Bind, Volumes, check_mount_points, check_volume, parse_volume
from tests.fuzz.target import Target, text_of

_CWD = "/srv/app"

#: The password of a private repository, which no input has.
_PASSWORD = "b39f1c7e5d"

_SCHEMES = ("folder", "image", "git", "docker-archive")


def _check_image(data: bytes, source: SourceName) -> None:
    text = text_of(data)
    assert re.search(r"[\s\x00-\x1f]", source.default_app) is None, source.default_app
    repr(source)
    if source.scheme != "image":
        return
    name = ImageName.parse(text)
    assert ImageName.parse(name.reference).reference == name.reference
    assert name.reference.isascii()
    assert not re.search(r"[\s\x00-\x1f]|^-", name.reference), name.reference
    assert name.registry


def _check_git(data: bytes, found: GitLocation) -> None:
    assert posixpath.normpath(found.mirror) == found.mirror
    assert not found.mirror.startswith(("/", ".", "-")), found.mirror
    assert all(re.fullmatch(r"[A-Za-z0-9_~][\w.~+-]*", part, re.ASCII) for part in found.mirror.split("/")), (
        found.mirror
    )
    # git would take it for an option, or for another transport: ext::COMMAND.
    assert not found.url.startswith("-")
    assert not re.match(r"[\w+.-]+::", found.url), found.url
    assert found.branch is None or check_branch(found.branch) == found.branch
    assert not posixpath.isabs(found.folder)
    assert ".." not in found.folder.split("/")
    assert not re.search("//[^/@]*:[^/@]*@", found.url), f"a password is in {found.url}"
    assert found.login is None or found.protocol in ("http", "https")


def _read_submodules(data: bytes) -> list[GitLocation]:
    """Read a list of submodules, as git prints it, of a private repository."""
    parent = parse_git(f"https://user:{_PASSWORD}@h/me/app", "https")
    found = []
    for url in parse_gitmodules(text_of(data)).values():
        try:
            found.append(submodule_location(parent, url))
        except ValueError:
            continue
    return found


def _check_submodules(_: bytes, found: list[GitLocation]) -> None:
    for location in found:
        _check_git(b"", location)
        assert location.protocol in ("https", "ssh"), location.url
        # The login of the repository is for its own host only.
        assert location.login is None or location.login.password != _PASSWORD or location.host_url == "https://h"


def _check_publish(_: bytes, found: tuple[PortRequest, ...]) -> None:
    assert found
    for request in found:
        assert parse_publish(str(request)) == (request,), str(request)
        assert request.numbers is None or request.accepts(request.numbers[0])
    check_conflicts(found[:1])


def _read_mount(data: bytes) -> object:
    text = text_of(data)
    if "=" in text:
        mount = parse_mount(text, _CWD)
        check_mount(mount)
        return mount
    volume = parse_volume(text, _CWD)
    check_volume(volume)
    return volume


def _check_mount(_: bytes, found: object) -> None:
    if isinstance(found, dict):
        json.dumps(found)
        assert found["Type"] in ("bind", "volume", "tmpfs", "image", "cluster")
        target = str(found["Target"])
        assert found["Type"] != "bind" or posixpath.isabs(str(found["Source"]))
    else:
        assert isinstance(found, Bind | AnonymousVolume)
        target = found.target if isinstance(found, Bind) else found.path
        Volumes.of([found, found])
    assert posixpath.isabs(target)
    check_mount_points([target])


IMAGE = Target(
    "image",
    lambda data: parse_source(text_of(data), lambda: _SCHEMES),
    _check_image,
    refusals=(ValueError,),
    words=("@sha256:", "localhost:5000/", "docker.io/", "library/", ":latest", "https://", "git+", ".git", "--", "__"),
)

GIT = Target(
    "git",
    lambda data: parse_git(text_of(data), "https"),
    _check_git,
    refusals=(ValueError,),
    words=("https://", "ssh://", "file://", "git@", "#", ":", "/../", ".lock", "@{", "ext::", ".git", "-u", "%2e"),
)

SUBMODULE = Target(
    "git-submodule",
    _read_submodules,
    _check_submodules,
    words=(
        "submodule.a.url\n",
        "submodule.b.path\n",
        "\0",
        "https://h/",
        "../",
        "./",
        "ssh://",
        "git@h:",
        "ext::",
        "file://",
    ),
)

PUBLISH = Target(
    "publish",
    lambda data: parse_publish(text_of(data)),
    _check_publish,
    refusals=(ValueError,),
    words=("127.0.0.1:", "[::1]:", "-", "/tcp", "/udp", "published=", "target=", "protocol=tcp", "65535", "0-"),
    longest=256,
)

MOUNT = Target(
    "mount",
    _read_mount,
    _check_mount,
    refusals=(ValueError,),
    words=(
        *("type=", "bind", "volume", "tmpfs", "image", "source=", "target=", "readonly", "bind-propagation="),
        *("bind-recursive=", "volume-opt=", "volume-label=", "volume-driver=", "tmpfs-size=", "tmpfs-mode=", '"', '""'),
        *(":ro", ":z", ",rshared", "nocopy", "./", "../"),
    ),
    longest=1024,
)
