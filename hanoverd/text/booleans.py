"""Booleans, as Docker's command line reads them."""

from __future__ import annotations

from hanoverd.text.quoting import quoted

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_boolean(text: str) -> bool:
    """Return the boolean in ``text``, as Go's ``strconv.ParseBool`` reads it; ValueError."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax (write true or false)")
