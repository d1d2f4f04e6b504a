"""IP addresses as text."""

from __future__ import annotations


def bracketed(address: str) -> str:
    """Return an address, or a name, as it stands before a colon and a port: IPv6 in brackets (RFC 3986, section 3.2.2)."""
    return f"[{address}]" if ":" in address else address
