"""What a container shares with the host and what it may do: namespaces, capabilities, and security options."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from hanoverd.text.quoting import quoted

_HOST = "host"
_CONTAINER = "container:"
_ALL = "ALL"

#: Profiles that are names, not files.
_SECCOMP_NAMES = ("unconfined", "builtin")


def parse_pid_mode(text: str) -> str:
    """Check ``host``, ``container:NAME`` or an empty mode; ValueError, in docker's words."""
    if text in ("", _HOST) or (text.startswith(_CONTAINER) and text != _CONTAINER):
        return text
    raise ValueError("--pid: invalid PID mode")


def parse_uts_mode(text: str) -> str:
    """Check ``host`` or an empty mode; ValueError, in docker's words."""
    if text in ("", _HOST):
        return text
    raise ValueError("--uts: invalid UTS mode")


def parse_user_mode(text: str) -> str:
    """Check ``host`` or an empty mode; ValueError, in docker's words."""
    if text in ("", _HOST):
        return text
    raise ValueError("--userns: invalid USER mode")


def parse_cgroup_mode(text: str) -> str:
    """Check ``host``, ``private`` or an empty mode; ValueError, in docker's words."""
    if text in ("", _HOST, "private"):
        return text
    raise ValueError("--cgroupns: invalid CGROUP mode")


def check_ipc_mode(text: str) -> None:
    """Raise ValueError, in the engine's words, for a mode that the engine does not know."""
    known = ("", _HOST, "private", "none", "shareable")
    if text not in known and not (text.startswith(_CONTAINER) and text != _CONTAINER):
        raise ValueError(f"invalid IPC mode: {text}")


def capabilities(added: Iterable[str], dropped: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the capabilities to add and to drop by their full names, as docker's client sends them.

    One that is added is not dropped; ``ALL`` stands for all others.
    """
    add, drop = _full_names(added), _full_names(dropped)
    return sorted(add), sorted(drop - add)


def _full_names(names: Iterable[str]) -> set[str]:
    upper = (name.strip().upper() for name in names)
    full = {name if name == _ALL or name.startswith("CAP_") else f"CAP_{name}" for name in upper}
    return {_ALL} if _ALL in full else full


def security_settings(options: Iterable[str], read_file: Callable[[str], bytes]) -> dict[str, object]:
    """Return the places of the create request that ``--security-opt`` fills.

    ``read_file`` returns the contents of the file of a seccomp profile, or raises OSError.  ValueError, in docker's
    words.
    """
    sent: list[str] = []
    settings: dict[str, object] = {}
    for option in options:
        if option == "systempaths=unconfined":
            settings |= {"HostConfig.MaskedPaths": [], "HostConfig.ReadonlyPaths": []}
            continue
        key, separator, value = _split(option)
        if key != "no-new-privileges" and not (separator and value):
            raise ValueError(f"Invalid --security-opt: {quoted(option)}")
        if key == "seccomp" and value not in _SECCOMP_NAMES:
            sent.append(f"seccomp={_profile(value, read_file)}")
        else:
            sent.append(option)
    return {"HostConfig.SecurityOpt": sent, **settings}


def _split(option: str) -> tuple[str, str, str]:
    return option.partition("=") if "=" in option else option.partition(":")


def _profile(path: str, read_file: Callable[[str], bytes]) -> str:
    try:
        data = read_file(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"opening seccomp profile ({path}) failed: open {path}: {reason}") from None
    try:
        return json.dumps(json.loads(data), separators=(",", ":"), ensure_ascii=False)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {error}") from None
