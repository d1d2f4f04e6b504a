"""Who is notified of the events in an app's life."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanoverd.spec.events import KINDS


@dataclass(frozen=True)
class Hook:
    """A shell command for one kind of event; it may hold secrets."""

    event: str
    command: str = field(repr=False)


#: The formats of what is posted.
JSON, SLACK = "json", "slack"
FORMATS = (JSON, SLACK)


@dataclass(frozen=True)
class NotificationSpec:
    """The commands that run at events, and the URLs that each event is posted to: these may hold secrets.

    ``format`` is that of the posts, and ``secret`` signs them; "" for no signature.  What is not UTF-8
    in it is kept as surrogates (``os.fsdecode``).
    """

    hooks: tuple[Hook, ...] = ()
    urls: tuple[str, ...] = field(default=(), repr=False)
    format: str = JSON
    secret: str = field(default="", repr=False)


def parse_hook(text: str) -> Hook:
    """Read ``EVENT=COMMAND``; ValueError."""
    event, assigned, command = text.partition("=")
    if event not in KINDS or not assigned or not command.strip():
        raise ValueError(f"write EVENT=COMMAND, with EVENT one of {', '.join(KINDS)}")
    return Hook(event, command)
