"""Whether this host has IPv6."""

from __future__ import annotations

import socket

#: The loopback address, which every interface of IPv6 starts with.
_LOOPBACK = "::1"


def has_ipv6() -> bool:
    """Return whether this host has IPv6: it may be missing in the kernel, or switched off (ip-sysctl, disable_ipv6)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((_LOOPBACK, 0))
    except OSError:
        return False
    return True
