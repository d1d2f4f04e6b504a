"""Numbers of things, for people."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """Return "1 connection", "2 connections": ``thing`` is the singular of a noun that takes an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
