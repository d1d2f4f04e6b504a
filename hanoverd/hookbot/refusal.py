"""The refusal of a request, with its HTTP status."""

from __future__ import annotations


class Refused(ValueError):
    """A request is refused with ``status``, and its text for the client."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
