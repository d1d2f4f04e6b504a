"""The origins of triggers, for the history: who or what is behind a handover."""

from __future__ import annotations

from hanoverd.deploy.orchestrator import Orchestrator
from hanoverd.history.record import HOOKBOT, SIGNAL, START, Origin

#: The origins of the start of hanoverd, and of a signal.
AT_START, BY_SIGNAL = Origin(START), Origin(SIGNAL)


class HookbotTarget:
    """Passes what messages of ``topic`` ask for to the orchestrator of an app, with its origin."""

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
