"""What the page in the browser is asked to do.  Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from hanoverd.spec.log import TEXT

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*", re.ASCII)

_LONGEST_NAME = 253


@dataclass(frozen=True)
class WebSpec:
    """A page.  ``host`` is an IP address; ``allow_hosts`` are further names that requests may be for, in lower case.

    ``login``: required also at a loopback address.  ``new_token``: only replace the token.
    """

    host: str
    port: int
    allow_actions: bool = False
    allow_hosts: tuple[str, ...] = ()
    login: bool = False
    new_token: bool = False
    log_format: str = TEXT

    @property
    def needs_login(self) -> bool:
        """Whether users have to log in: others than users of this host can reach the page.

        A further name is that of a reverse proxy, through which others come from a loopback address, too.
        """
        return self.login or bool(self.allow_hosts) or not ip_address(self.host).is_loopback


def parse_host_name(text: str) -> str:
    """Return a name, or an IP address, as a URL has it between ``//`` and the port, in lower case; ValueError."""
    name = text.lower().rstrip(".")
    try:
        return f"{ip_address(name.strip('[]'))}"
    except ValueError:
        pass
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError("it must be the name of a host alone, as in page.example.com, without https:// and a port")
    return name
