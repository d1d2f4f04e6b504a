"""HTTP for browsers, with the limits of the control socket: how many connect, how much they send, and how long that takes."""

from __future__ import annotations

from hanoverd.api.site import ControlChannel, ControlSite

#: How many connections there are at most; an old one without a request in progress is closed for a new one.
MOST_CONNECTIONS = 200

#: How long a connection may wait for its next request, in seconds; a slow browser reads the answer meanwhile.
IDLE_TIMEOUT = 60.0


class PageChannel(ControlChannel):
    """A connection of a browser."""

    def is_welcome(self) -> bool:
        """Return True: who may see what is decided for each request."""
        return True


class PageSite(ControlSite):
    """Answers browsers."""

    protocol = PageChannel
    most_connections = MOST_CONNECTIONS
    idle_timeout = IDLE_TIMEOUT
    has_forms = True

    def drop_all(self) -> None:
        """Close all connections at once, also those with an answer in progress."""
        for channel in [*self.idle, *self.busy]:
            channel.transport.abortConnection()
