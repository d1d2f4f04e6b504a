"""What can only be decided from the English text of another program, with the versions that were seen to print it."""

from __future__ import annotations

import re

#: conntrack exits with status 1 for every failure.  conntrack v1.4.7 (conntrack-tools) without CAP_NET_ADMIN prints
#: "Operation failed: sorry, you must be root or get CAP_NET_ADMIN capability to do this".  The second text is the C library's
#: for EPERM, which conntrack prints for errors that it has no text of its own for; no version was seen to do that here.
_CONNTRACK_NOT_PERMITTED = re.compile("CAP_NET_ADMIN|Operation not permitted")


def is_not_permitted(stderr: str) -> bool:
    """Return whether conntrack failed for want of permission, so that a retry will fail too."""
    return _CONNTRACK_NOT_PERMITTED.search(stderr) is not None
