"""What happens in an app's life, for those who want to be told."""

from __future__ import annotations

import json
from dataclasses import dataclass

OBTAINED, READY, LIVE, FAILED, DRAINED, DIED = ("obtained", "ready", "live", "failed", "drained", "died")
KINDS = (OBTAINED, READY, LIVE, FAILED, DRAINED, DIED)


@dataclass(frozen=True)
class Party:
    """A version by its container's name and ID; "" where there is no container, not yet or not any more."""

    name: str = ""
    id: str = ""


NOBODY = Party()

#: The longest ``NAME=VALUE`` that a program can be given, in bytes with the final NUL (MAX_ARG_STRLEN, execve(2)), on a
#: system with pages of 4 KiB, the smallest.
LONGEST_STRING = 128 * 1024

_CUT = " … (cut: too long for an environment variable)"


@dataclass(frozen=True)
class Event:
    """``new`` is the version that it is about (drained, died: the one that was), ``old`` the one that was live before."""

    kind: str
    app: str
    new: Party = NOBODY
    old: Party = NOBODY
    image: str = ""
    image_id: str = ""
    reason: str = ""

    def environment(self) -> dict[str, str]:
        """For a command: what no environment variable can hold is replaced (NUL) or cut."""
        return {name: _fitting(name, value) for name, value in self._values().items()}

    def json(self) -> bytes:
        """For a web hook."""
        told = {name.removeprefix("HANOVERD_").lower(): value for name, value in self._values().items()}
        return json.dumps(told).encode()

    def _values(self) -> dict[str, str]:
        return {
            "HANOVERD_EVENT": self.kind,
            "HANOVERD_APP": self.app,
            "HANOVERD_NEW": self.new.name,
            "HANOVERD_NEW_ID": self.new.id,
            "HANOVERD_OLD": self.old.name,
            "HANOVERD_OLD_ID": self.old.id,
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
