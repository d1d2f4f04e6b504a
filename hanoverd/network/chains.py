"""The names of an app's chains in the firewall. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

#: The names of all chains of hanoverd start with this, so that other tools can leave them alone.
PREFIX = "HANOVERD-"

#: The kernel's limit (XT_EXTENSION_MAXNAMELEN, less the final NUL).
LONGEST_CHAIN_NAME = 28

#: The longest name of an app that its chains' names hold as it is.
_LONGEST_APP = LONGEST_CHAIN_NAME - len(PREFIX) - len("-OUT")

#: A longer one is cut to so many characters, a hyphen, and so many digits of its digest.
_DIGEST = 6
_CUT = _LONGEST_APP - _DIGEST - 1


@dataclass(frozen=True)
class Chains:
    """The names of an app's two chains: ``incoming`` for clients elsewhere, ``local`` for clients on this host."""

    incoming: str
    local: str

    @property
    def hooks(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Each chain after the kernel's own chain that jumps to it."""
        return (
            # What arrives from elsewhere, before the kernel decides where it goes.
            ("PREROUTING", self.incoming),
            # What programs on this host send.
            ("OUTPUT", self.local),
        )


def chains_of(app: str) -> Chains:
    """Return the chains of an app: distinct for distinct apps, even where the name had to be cut."""
    if len(app) > _LONGEST_APP:
        digest = hashlib.sha256(app.encode()).hexdigest()[:_DIGEST]
        app = f"{app[:_CUT]}-{digest}"
    elif re.fullmatch(rf".{{{_CUT}}}-[0-9a-f]{{{_DIGEST}}}", app):
        # It looks like a name that was cut, and may equal one; no app's name has a "+".
        app = f"{app[:_CUT]}+{app[_CUT + 1 :]}"
    return Chains(f"{PREFIX}{app}-IN", f"{PREFIX}{app}-OUT")


def is_incoming(chain: str) -> bool:
    """Return whether it is the chain of any app for clients elsewhere."""
    return chain.startswith(PREFIX) and chain.endswith("-IN")
