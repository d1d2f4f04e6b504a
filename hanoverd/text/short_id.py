"""The IDs of images and containers, for people."""

from __future__ import annotations

#: As many digits as Docker's client shows.
_DIGITS = 12


def short_id(text: str) -> str:
    """Return the first digits of an ID, without the name of the digest: "sha256:0123…" is "0123…"."""
    return text.removeprefix("sha256:")[:_DIGITS]
