"""Requests the handovers that messages of hookbot ask for, with their origin for the history."""

from __future__ import annotations

from hanoverd.deploy.orchestrator import Orchestrator
from hanoverd.history.record import HOOKBOT, Origin


class HookbotTarget:
    """Passes what ``topic`` triggers to the orchestrator of an app."""

    def __init__(self, orchestrator: Orchestrator, topic: str) -> None:
        self._orchestrator = orchestrator
        self._topic = topic

    def trigger(self, reason: str, revision: str | None = None) -> None:
        """Request a handover for a message, which may name a ``revision`` (a commit)."""
        self._orchestrator.trigger(reason, revision, self._origin(revision))

    def newest_found(self, newest: str) -> None:
        """Request a handover to the source's ``newest`` revision, unless it was obtained or is being obtained."""
        self._orchestrator.newest_found(newest, self._origin(newest))

    def _origin(self, commit: str | None) -> Origin:
        return Origin(HOOKBOT, topic=self._topic, commit=commit or "")
