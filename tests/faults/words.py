"""The words of hanoverd that the campaign listens to, all of them: what it cannot learn from the engine and the rules."""

from __future__ import annotations

APP = "faulty"

#: States of ``hanoverd status``.
IS_LIVE, IS_HANDING_OVER = "live", "handing over"

#: Outcomes in ``hanoverd history``.
WENT_LIVE, FAILED = "live", "failed"

#: The phases of a handover in ``hanoverd status``, in their order.
PHASES = ("obtained", "created", "started", "ready", "flipped")

#: How the containers of versions that are only kept are called.
KEPT = "-kept"

#: What iptables calls the chains, and the comment that names the version.
CHAIN, COMMENT = "HANOVERD-", "hanoverd: "

#: The log has told of this often that hookbot is listened to: nothing else tells.
LISTENS = "listening to "
