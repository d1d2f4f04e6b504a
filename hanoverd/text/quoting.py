"""Quoted text, as in the messages of Docker's command line."""

from __future__ import annotations

_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def quoted(text: str) -> str:
    """Return ``text`` in double quotes, with escapes for what cannot be printed (Go's ``strconv.Quote``)."""
    return '"' + "".join(escape(char) for char in text) + '"'


def escape(char: str) -> str:
    """Return a character as it is written in quoted text: as it is if it can be printed."""
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
