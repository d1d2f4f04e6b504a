"""Which users may use the engine: they can control every container, as root can.

A hanoverd of such a user can serve an app of this engine. One of any other user cannot.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path

from hanoverd.docker.address import engine_address
from hanoverd.runtime.errors import EngineMisconfigured

_READ_AND_WRITE = 0o6


class TrustedUsers:
    """The users that hanoverd with the environment ``environ`` trusts: root, its own, and users of the engine."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __contains__(self, uid: object) -> bool:
        """Return whether a user is trusted. The socket's owner and mode, and the user's groups, decide about the engine."""
        return uid in (0, os.geteuid()) or (isinstance(uid, int) and self._may_use_engine(uid))

    def _may_use_engine(self, uid: int) -> bool:
        try:
            url = engine_address(self._environ).url
            status = Path(url.removeprefix("unix://")).stat() if url.startswith("unix://") else None
        except (OSError, EngineMisconfigured):
            return False
        if status is None:
            # Over TCP, a certificate decides, not the user.
            return False
        mode = stat.S_IMODE(status.st_mode)
        if uid == status.st_uid:
            return True
        if status.st_gid in _groups(uid):
            return _allows(mode >> 3)
        return _allows(mode)


def _groups(uid: int) -> list[int]:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(user.pw_name, user.pw_gid)


def _allows(bits: int) -> bool:
    return bits & _READ_AND_WRITE == _READ_AND_WRITE
