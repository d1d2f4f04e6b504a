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
        """For a command."""
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

    def json(self) -> bytes:
        """For a web hook."""
        told = {name.removeprefix("HANOVERD_").lower(): value for name, value in self.environment().items()}
        return json.dumps(told).encode()


def parse_hook(text: str) -> tuple[str, str]:
    """Read ``EVENT=COMMAND``; ValueError."""
    kind, assigned, command = text.partition("=")
    if kind not in KINDS or not assigned or not command.strip():
        raise ValueError(f"write EVENT=COMMAND, with EVENT one of {', '.join(KINDS)}")
    return kind, command
