"""Platforms of images: ``--platform``."""

from __future__ import annotations

import re

from hanoverd.text.quoting import quoted

#: Names that the engine's library knows for one architecture (containerd's ``platforms`` package).
_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "armhf": "arm",
    "armel": "arm",
    "i386": "386",
}
_VARIANTS = {"armhf": "v7", "armel": "v6"}
_KNOWN_ARCHITECTURES = frozenset(
    [
        "386",
        "amd64",
        "amd64p32",
        "arm",
        "armbe",
        "arm64",
        "arm64be",
        "ppc64",
        "ppc64le",
        "loong64",
        "mips",
        "mipsle",
        "mips64",
        "mips64le",
        "mips64p32",
        "mips64p32le",
        "ppc",
        "riscv",
        "riscv64",
        "s390",
        "s390x",
        "sparc",
        "sparc64",
        "wasm",
    ]
)
_KNOWN_SYSTEMS = frozenset(
    [
        "aix",
        "android",
        "darwin",
        "dragonfly",
        "freebsd",
        "hurd",
        "illumos",
        "ios",
        "js",
        "linux",
        "nacl",
        "netbsd",
        "openbsd",
        "plan9",
        "solaris",
        "windows",
        "zos",
    ]
)
_PART = re.compile(r"[A-Za-z0-9_.-]+")
_DEFAULT_SYSTEM = "linux"

#: SYSTEM, ARCHITECTURE and VARIANT.
_MOST_PARTS = 3


def parse_platform(text: str, machine: str) -> str:
    """Return ``SYSTEM/ARCHITECTURE[/VARIANT]`` in its usual form; an empty text stays empty.

    ``machine`` is the architecture of this host, for a system alone.  ValueError, in docker's words.
    """
    if not text:
        return ""
    parts = text.split("/")
    problem = f"error parsing specified platform: {quoted(text)}: "
    if len(parts) > _MOST_PARTS:
        raise ValueError(f"{problem}cannot parse platform specifier: invalid argument")
    for part in parts:
        if not _PART.fullmatch(part):
            raise ValueError(
                f"{quoted(part)} is an invalid component of {quoted(text)}: platform specifier component must match "
                f'"^{_PART.pattern}$": invalid argument'
            )
    parts = [part.lower() for part in parts]
    return _one(parts[0], machine, problem) if len(parts) == 1 else _several(parts)


def _one(part: str, machine: str, problem: str) -> str:
    if part in _KNOWN_SYSTEMS:
        return _several([part, machine.lower()])
    architecture, _ = _usual(part, "")
    if architecture not in _KNOWN_ARCHITECTURES:
        raise ValueError(f"{problem}unknown operating system or architecture: invalid argument")
    return _several([_DEFAULT_SYSTEM, part])


def _several(parts: list[str]) -> str:
    system, name, *rest = parts
    architecture, variant = _usual(name, rest[0] if rest else "")
    if not rest and (architecture, variant) == ("arm", "v7"):
        variant = ""
    if rest and (architecture, variant) == ("arm64", ""):
        variant = "v8"
    return "/".join(filter(None, ("darwin" if system == "macos" else system, architecture, variant)))


def _usual(name: str, variant: str) -> tuple[str, str]:
    """Return the usual name of an architecture with its variant (containerd's ``normalizeArch``)."""
    architecture = _ARCHITECTURES.get(name, name)
    if name in _VARIANTS:
        return architecture, _VARIANTS[name]
    if (architecture, variant) in (("arm64", "8"), ("arm64", "v8"), ("amd64", "v1")) or name == "i386":
        return architecture, ""
    if architecture == "arm":
        return architecture, {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return architecture, variant
