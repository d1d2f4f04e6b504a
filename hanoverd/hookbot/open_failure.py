"""What it means when a server does not open a websocket."""

from __future__ import annotations

import re

from hanoverd.hookbot.protocol import UNSAFE_HEADER

#: autobahn's reason for an HTTP status other than 101, which it does not provide as a number. autobahn 26.10.2.
_UPGRADE_FAILED = re.compile(r"upgrade failed \[(\d+)\]")

_MEANINGS = {
    401: "the token is for another path, or made with another key: make one with `hanoverd hookbot make-tokens`",
    404: "there is no hookbot at this address, or a proxy does not forward to it",
    **dict.fromkeys(
        (301, 302, 303, 307, 308),
        "the server redirects to another address: write that one, which is not followed by itself",
    ),
    400: f"an unsafe topic needs the header {UNSAFE_HEADER}",
}


def open_failure(why: str) -> str:
    """Return the reason for the log, from autobahn's reason."""
    status = _UPGRADE_FAILED.search(why)
    if status is None:
        return f"the websocket was not opened: {why}"
    meaning = _MEANINGS.get(int(status[1]), "the server has an error, or it is not a hookbot")
    return f"HTTP status {status[1]}: {meaning}"
