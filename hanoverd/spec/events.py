"""The events in an app's life that hooks and webhooks are notified of."""

from __future__ import annotations

import json
from dataclasses import dataclass

OBTAINED, READY, LIVE, FAILED, DRAINED, DIED = ("obtained", "ready", "live", "failed", "drained", "died")
KINDS = (OBTAINED, READY, LIVE, FAILED, DRAINED, DIED)


@dataclass(frozen=True)
class VersionReference:
    """A version by the name and ID of its container; the ID is empty while the container does not exist."""

    name: str
    id: str = ""


#: The longest ``NAME=VALUE`` that a program can be given, in bytes with the final NUL (MAX_ARG_STRLEN, execve(2)), on a
#: system with pages of 4 KiB, the smallest.
LONGEST_STRING = 128 * 1024

_CUT = " … (cut: too long for an environment variable)"


@dataclass(frozen=True)
class Event:
    """An event of the version ``new`` (for ``drained`` and ``died``, the version that has ended); ``old`` is the version
    that was live before.
    """

    kind: str
    app: str
    new: VersionReference | None = None
    old: VersionReference | None = None
    image: str = ""
    image_id: str = ""
    reason: str = ""

    def environment(self) -> dict[str, str]:
        """Return the environment variables for a command. NUL bytes are replaced, and values that are too long are cut."""
        return {name: _fitting(name, value) for name, value in self._values().items()}

    def json(self) -> bytes:
        """Return the body of the request to a webhook."""
        body = {name.removeprefix("HANOVERD_").lower(): value for name, value in self._values().items()}
        return json.dumps(body).encode()

    def _values(self) -> dict[str, str]:
        return {
            "HANOVERD_EVENT": self.kind,
            "HANOVERD_APP": self.app,
            "HANOVERD_NEW": self.new.name if self.new else "",
            "HANOVERD_NEW_ID": self.new.id if self.new else "",
            "HANOVERD_OLD": self.old.name if self.old else "",
            "HANOVERD_OLD_ID": self.old.id if self.old else "",
            "HANOVERD_IMAGE": self.image,
            "HANOVERD_IMAGE_ID": self.image_id,
            "HANOVERD_REASON": self.reason,
        }


def _fitting(name: str, value: str) -> str:
    raw = value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace")
    room = LONGEST_STRING - len(f"{name}=\0")
    if len(raw) <= room:
        return raw.decode()
    return raw[: room - len(_CUT.encode())].decode(errors="ignore") + _CUT
