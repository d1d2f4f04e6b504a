"""Finds out whether the engine's classic builder can build a Dockerfile."""

from __future__ import annotations

import re

#: Flags that only BuildKit knows (https://docs.docker.com/reference/dockerfile/).
_FLAGS = {
    "RUN": ("--mount", "--network", "--security", "--device"),
    "COPY": ("--link", "--chmod", "--parents", "--exclude"),
    "ADD": ("--link", "--chmod", "--keep-git-dir", "--checksum", "--exclude", "--unpack"),
}

_DIRECTIVE = re.compile(r"#\s*(syntax|escape|check)\s*=\s*(\S+)\s*", re.IGNORECASE)
_HEREDOC = re.compile(r"(?:^|\s)\d*<<-?(['\"]?)[A-Za-z_][\w.]*\1(?=\s|$)")


def buildkit_only(text: str) -> str | None:
    """Return the first part of a Dockerfile that needs BuildKit, as "RUN --mount, line 3"; None if there is none.

    The result quotes nothing of the Dockerfile. The time is linear in its size.
    """
    lines = text.removeprefix("\ufeff").split("\n")
    escape = "\\"
    for number, line in enumerate(lines, 1):
        directive = _DIRECTIVE.fullmatch(line.strip())
        if directive is None:
            break
        if directive[1].lower() == "syntax":
            return f"# syntax=, line {number}"
        if directive[1].lower() == "escape":
            escape = directive[2]
    begins = 0
    parts: list[str] = []
    for number, line in enumerate(lines, 1):
        if not parts:
            begins = number
        if line.lstrip().startswith("#") or (parts and not line.strip()):
            continue
        ended = line.rstrip()
        parts.append(ended.removesuffix(escape))
        if ended.endswith(escape):
            continue
        if reason := _needs(" ".join(parts).split()):
            return f"{reason}, line {begins}"
        parts = []
    return None


def _needs(words: list[str]) -> str | None:
    if words and words[0].upper() == "ONBUILD":
        words = words[1:]
    if not words or words[0].upper() not in _FLAGS:
        return None
    name = words[0].upper()
    for word in words[1:]:
        if not word.startswith("--"):
            break
        flag = word.partition("=")[0]
        if flag in _FLAGS[name]:
            return f"{name} {flag}"
    return f"{name} <<" if _HEREDOC.search(" ".join(words[1:])) else None
