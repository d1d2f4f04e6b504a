"""Numbers of things, for people."""

from __future__ import annotations


def counted(number: int, thing: str, things: str = "") -> str:
    """Return "1 connection", "2 connections", from the singular of a noun, and the plural if it does not just take an s."""
    return f"{number} {thing}" if number == 1 else f"{number} {things or thing + 's'}"
