"""Options of ``KEY=VALUE``: labels, annotations, sysctls, and the options of logging and storage drivers."""

from __future__ import annotations

#: The kernel parameters that belong to a container's own namespaces, as docker's client lists them.
_SYSCTLS = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_SYSCTL_PREFIXES = ("net.", "fs.mqueue.")

#: Blanks of a key that docker refuses.
_BLANKS = " \t"


def parse_label(text: str) -> tuple[str, str]:
    """Read ``KEY[=VALUE]``; ValueError, in docker's words."""
    key, _, value = text.partition("=")
    # Docker checks the key without the blanks around it, and stores it with them.
    trimmed = key.lstrip()
    if not trimmed:
        raise ValueError(f"invalid label '{text}': empty name")
    if any(blank in trimmed for blank in _BLANKS):
        raise ValueError(f"label '{trimmed}' contains whitespaces")
    return key, value


def parse_pair(text: str) -> tuple[str, str]:
    """Read ``KEY[=VALUE]``, whatever it is."""
    key, _, value = text.partition("=")
    return key, value


def parse_sysctl(text: str) -> tuple[str, str]:
    """Read ``NAME=VALUE``; ValueError, in docker's words, for a parameter that is not the container's own."""
    name, equals, value = text.partition("=")
    if equals and (name in _SYSCTLS or name.startswith(_SYSCTL_PREFIXES)):
        return name, value
    raise ValueError(f"sysctl '{text}' is not allowed")


def parse_storage_option(text: str) -> tuple[str, str]:
    """Read ``KEY=VALUE``; ValueError, in docker's words."""
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError("invalid storage option")
    return key, value
