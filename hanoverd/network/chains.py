"""The chains of an app in the table ``nat``: their names, and the rules that jump to them. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from hanoverd.spec.ports import Family

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
class Jump:
    """A rule of a chain of the kernel, ``hook``, that jumps to ``chain``; ``is_first`` where it must precede all others."""

    hook: str
    chain: str
    condition: str
    is_first: bool = True

    @property
    def options(self) -> list[str]:
        """The rule as iptables takes it, in groups of words."""
        return [self.condition, f"-j {self.chain}"]


#: Only packets to an address of this host, and not the packets that it forwards.
_TO_THIS_HOST = "-m addrtype --dst-type LOCAL"

#: Packets from a link-local address are not forwarded (RFC 4291, section 2.5.6): hanoverd relays these clients.
_NOT_LINK_LOCAL = "! -s fe80::/10"

#: Only connections whose destination a rule has replaced.
_REDIRECTED = "-m conntrack --ctstate DNAT"


@dataclass(frozen=True)
class Chains:
    """The names of an app's chains.

    ``incoming`` is for clients elsewhere, ``local`` for clients on this host, and ``source`` for containers as clients.
    """

    incoming: str
    local: str
    source: str

    @property
    def names(self) -> tuple[str, str, str]:
        """All of them."""
        return self.incoming, self.local, self.source

    def jumps(self, family: Family) -> tuple[Jump, ...]:
        """Return the rules that jump to them."""
        to_this_host = f"{_NOT_LINK_LOCAL} {_TO_THIS_HOST}" if family is Family.IPV6 else _TO_THIS_HOST
        return (
            # What arrives from elsewhere, before the kernel decides where it goes.
            Jump("PREROUTING", self.incoming, to_this_host),
            # What programs on this host send.
            Jump("OUTPUT", self.local, to_this_host),
            # What leaves, after the kernel has decided where it goes.  Other rules may stand before it: whichever of them
            # replaces the source of a connection, the answers come back through this host.
            Jump("POSTROUTING", self.source, _REDIRECTED, is_first=False),
        )


def chains_of(app: str) -> Chains:
    """Return the chains of an app: distinct for distinct apps, even where the name had to be cut."""
    if len(app) > _LONGEST_APP:
        digest = hashlib.sha256(app.encode()).hexdigest()[:_DIGEST]
        app = f"{app[:_CUT]}-{digest}"
    elif re.fullmatch(rf".{{{_CUT}}}-[0-9a-f]{{{_DIGEST}}}", app):
        # It looks like a name that was cut, and may equal one; no app's name has a "+".
        app = f"{app[:_CUT]}+{app[_CUT + 1 :]}"
    return Chains(f"{PREFIX}{app}-IN", f"{PREFIX}{app}-OUT", f"{PREFIX}{app}-SRC")


def is_incoming(chain: str) -> bool:
    """Return whether it is the chain of any app for clients elsewhere."""
    return chain.startswith(PREFIX) and chain.endswith("-IN")
