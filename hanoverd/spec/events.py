"""The events in an app's life that hooks and webhooks are notified of."""

from __future__ import annotations

import json
from dataclasses import dataclass

from hanoverd.text.escapes import escaped

OBTAINED, READY, LIVE, FAILED, DRAINED, DIED = ("obtained", "ready", "live", "failed", "drained", "died")
#: The key of an ``Event`` in the event of the log that reports the same; programs that read the log do not get it.
LIFECYCLE = "lifecycle"

KINDS = (OBTAINED, READY, LIVE, FAILED, DRAINED, DIED)


@dataclass(frozen=True)
class VersionReference:
    """A version by the name and ID of its container; the ID is empty while the container does not exist."""

    name: str
    id: str = ""


#: The longest reason, and the longest of the other values, in bytes. The system takes at least 128 KiB for the environment
#: and the arguments of a program (execve(2)), and webhooks take at least 100 KiB.
LONGEST_REASON, LONGEST_VALUE = 32 * 1024, 4 * 1024

_CUT = " … (cut) … "


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
        """Return the environment variables for a command.

        Control characters are escaped, and values that are too long are cut: what an app has printed last must not keep the
        command from running.
        """
        longest = {"HANOVERD_REASON": LONGEST_REASON}
        return {name: _fitting(value, longest.get(name, LONGEST_VALUE)) for name, value in self._values().items()}

    def json(self) -> bytes:
        """Return the body of the request to a webhook, with the same values."""
        body = {name.removeprefix("HANOVERD_").lower(): value for name, value in self.environment().items()}
        # In UTF-8: escapes would make it longer.
        return json.dumps(body, ensure_ascii=False).encode()

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


def _fitting(value: str, longest: int) -> str:
    """Return ``value`` without control characters and, if it is too long, without its middle."""
    raw = escaped(value).encode()
    if len(raw) <= longest:
        return raw.decode()
    # The last lines of output say more than the first.
    begin = longest // 4
    end = len(raw) - (longest - begin - len(_CUT.encode()))
    return f"{raw[:begin].decode(errors='ignore')}{_CUT}{raw[end:].decode(errors='ignore')}"
