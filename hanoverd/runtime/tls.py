"""TLS by Twisted, which takes a fifth of the memory of a daemon, and which most apps do not use."""

from __future__ import annotations

import sys

_LIBRARY = "OpenSSL"


def forgo_tls() -> None:
    """Let Twisted do without TLS in this process, as it does where pyOpenSSL is not installed.

    No effect if Twisted has loaded it already.  Other programs, and what does not use Twisted (the engine's client, downloads),
    keep TLS: that is Python's own.
    """
    # With None, Python refuses to import it (the Python reference, section "The module cache").
    sys.modules.setdefault(_LIBRARY, None)  # type: ignore[arg-type]  # None is documented
