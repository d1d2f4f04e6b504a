r"""Text from containers, programs and other hosts, as a log or a terminal may show it: control characters are escaped.

A control character could start a line that looks like one of ours, or move the cursor, clear the screen, or reorder what a
line shows. Escapes are written as in Docker's messages and Go: ``\r``, ``\x1b``, ``\u2028``. A backslash itself stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from hanoverd.text.quoting import escape

#: C0 but for tab and newline, DEL and C1, the separators of lines and paragraphs and what sets the direction of text
#: (Unicode Standard Annex 9: embeddings, overrides and isolates), and what no encoding has (surrogates).
_SURROGATES = (0xD800, 0xDFFF)
_RANGES = ((0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0x2028, 0x202E), (0x2066, 0x2069), _SURROGATES)

_ESCAPES = {code: escape(chr(code)) for first, last in _RANGES[:-1] for code in range(first, last + 1)}
_ESCAPES_AND_NEWLINE = {**_ESCAPES, ord("\n"): "\\n"}

_CONTROLS = "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES)
_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_OR_NEWLINE = re.compile(f"[\n{_CONTROLS}]")

_SURROGATE = re.compile(f"[{chr(_SURROGATES[0])}-{chr(_SURROGATES[1])}]")

#: Sets a colour or another rendition (SGR of ECMA-48). It prints nothing, and does not move the cursor.
_RENDITION = re.compile("(\x1b\\[[0-9;:]{0,64}m)")

_RESET = "\x1b[0m"


def escaped(text: str) -> str:
    """Return ``text``, which may have several lines, with escapes for control characters. Lines end at a newline only."""
    text = text.replace("\r\n", "\n")
    return _translated(text, _ESCAPES) if _CONTROL.search(text) else text


def escaped_line(text: str) -> str:
    """Return ``text`` on one line, with escapes for control characters and newlines."""
    return _translated(text, _ESCAPES_AND_NEWLINE) if _CONTROL_OR_NEWLINE.search(text) else text


def escaped_output(line: str, *, colour: bool) -> str:
    """Return a line of a program's output: as ``escaped_line``, but colours are kept where a terminal shows them, and
    left out elsewhere.

    They end with the line.
    """
    if not _CONTROL_OR_NEWLINE.search(line):
        return line
    # Every second part is a rendition.  The others are escaped before they are joined: what is left when a sequence was
    # taken out must not become another sequence.
    parts = _RENDITION.split(line)
    parts[::2] = map(escaped_line, parts[::2])
    if not colour:
        return "".join(parts[::2])
    return "".join([*parts, _RESET]) if len(parts) > 1 else parts[0]


def _translated(text: str, escapes: Mapping[int, str]) -> str:
    return (text.translate(_surrogates()) if _SURROGATE.search(text) else text).translate(escapes)


@cache
def _surrogates() -> Mapping[int, str]:
    # Late: most texts have none, and it is a large table.
    return {code: escape(chr(code)) for code in range(_SURROGATES[0], _SURROGATES[1] + 1)}
