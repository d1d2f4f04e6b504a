"""What a repository can write to influence a build: ``.dockerignore`` and the Dockerfile."""

from __future__ import annotations

import re

from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.docker.dockerignore import Ignored
from tests.fuzz.target import Target, text_of

#: Files that are never excluded.
_NEEDED = (".dockerignore", "docker/Dockerfile")


def _split(data: bytes) -> tuple[str, str]:
    """Return a path, the first line, and the patterns, all others."""
    path, _, patterns = text_of(data).partition("\n")
    parts = [part for part in path.replace("\0", "").split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "a", patterns


def _read_ignored(data: bytes) -> Ignored:
    return Ignored.read(_split(data)[1], needed=_NEEDED)


def _check_ignored(data: bytes, ignored: Ignored) -> None:
    path, patterns = _split(data)
    for name in _NEEDED:
        assert not ignored.verdict(name).is_ignored, f"{name} is excluded"
    verdict = ignored.verdict(path)
    again = ignored.top
    for end in [*(found.start() for found in re.finditer("/", path)), len(path)]:
        again = ignored.verdict_inside(again, path[:end].rpartition("/")[2])
        ignored.may_hold_exceptions(path[:end])
    assert again == verdict, "the verdict depends on how it is asked for"
    # Neither a comment nor an empty line changes anything.
    commented = Ignored.read(f"# a comment\n\n{patterns.removeprefix(chr(0xFEFF))}", needed=_NEEDED)
    assert commented.verdict(path).is_ignored == verdict.is_ignored, "a comment changes the verdict"


def _check_dockerfile(data: bytes, found: str | None) -> None:
    if found is not None:
        number = re.fullmatch(r".+, line (\d+)", found, re.DOTALL)
        assert number is not None, found
        assert 1 <= int(number[1]) <= len(text_of(data).splitlines()), found


DOCKERIGNORE = Target(
    "dockerignore",
    _read_ignored,
    _check_ignored,
    refusals=(ValueError,),
    words=("**/", "**", "!", "[^a-z]", "[]", "\\", "*a", "?", "/**/", "#", "\ufeff", "[a-", "..", "/./"),
)

DOCKERFILE = Target(
    "dockerfile",
    lambda data: buildkit_only(text_of(data)),
    _check_dockerfile,
    words=(
        *("FROM ", "RUN ", "--mount=", "COPY ", "ADD ", "--link", "--chmod=", "ONBUILD ", "# syntax=", "# escape=`"),
        *("<<EOF", "<<-'E'", "\\\n", "EOF\n", "\r\n"),
    ),
)
