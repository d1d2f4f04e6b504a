"""The limit of how many files and sockets this process may have open."""

from __future__ import annotations

import resource


def raise_file_limit(wanted: int | None = None) -> int:
    """Raise the limit to ``wanted``, or as far as the system allows, and return what it is then; it is never lowered.

    Without ``wanted`` it is raised to the system's maximum.  The usual limit, 1024, is for programs that use select(2), see
    setrlimit(2).  Programs that this process starts inherit it, and some old ones close every possible file: where it
    starts any, ``wanted`` should not be more than it needs.
    """
    limit, maximum = resource.getrlimit(resource.RLIMIT_NOFILE)
    raised = maximum if wanted is None else _smaller(wanted, maximum)
    if _smaller(limit, raised) == raised:
        return limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (raised, maximum))
    return raised


def _smaller(one: int, other: int) -> int:
    """Return the smaller of two limits: infinity is a negative number in Python."""
    if resource.RLIM_INFINITY in (one, other):
        return other if one == resource.RLIM_INFINITY else one
    return min(one, other)
