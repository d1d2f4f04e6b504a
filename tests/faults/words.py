"""The names in hanoverd's status, containers and rules on which the campaign relies."""

from __future__ import annotations

APP = "faulty"

#: The state in ``hanoverd status`` of an app that serves and has no handover under way.
IS_LIVE = "live"

#: Outcomes of a handover in ``hanoverd history``.
WENT_LIVE, FAILED = "live", "failed"

#: The phases of a handover in ``hanoverd status``, in their order.
PHASES = ("obtained", "created", "started", "ready", "routed")

#: The end of the names of the stopped containers that are kept for a rollback.
KEPT = "-kept"

#: The beginnings of the names of its chains, and of the comments of its rules, which name the version.
CHAIN, COMMENT = "HANOVERD-", "hanoverd: "
