r"""Text from containers, programs and other hosts, as a log or a terminal may show it: control characters are escaped.

A control character could start a line that looks like one of ours, or move the cursor, clear the screen, or reorder what a
line shows. Escapes are those of Docker's messages and Go: ``\r``, ``\x1b``, ``\u2028``. A backslash itself stays.
"""

from __future__ import annotations

import re

from hanoverd.text.quoting import escape

#: C0 but for tab and newline, DEL, C1, the separators of lines and paragraphs, what sets the direction of text
#: (Unicode Standard Annex 9: embeddings, overrides and isolates), and what no encoding has (surrogates).
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"

_CONTROL = re.compile(f"[{_CONTROLS}]")
_CONTROL_OR_NEWLINE = re.compile(f"[\n{_CONTROLS}]")

#: Sets a colour or another rendition (SGR of ECMA-48). It prints nothing, and does not move the cursor.
_RENDITION = "\x1b\\[[0-9;:]{0,64}m"

_RENDITION_OR_CONTROL = re.compile(f"({_RENDITION})|[\n{_CONTROLS}]")

_RESET = "\x1b[0m"


def escaped(text: str) -> str:
    """Return ``text``, which may have several lines, with escapes for control characters. Lines end at a newline only."""
    return _CONTROL.sub(_escape, text.replace("\r\n", "\n"))


def escaped_line(text: str) -> str:
    """Return ``text`` on one line, with escapes for control characters and newlines."""
    return _CONTROL_OR_NEWLINE.sub(_escape, text)


def escaped_output(line: str, *, colour: bool) -> str:
    """Return a line of a program's output: as ``escaped_line``, but colours are kept where a terminal shows them, and
    left out elsewhere.

    They end with the line.
    """
    # In one pass: what is left when a sequence was taken out must not become another sequence.
    shown, count = _RENDITION_OR_CONTROL.subn(_keep_rendition if colour else _drop_rendition, line)
    return f"{shown}{_RESET}" if colour and count and "\x1b" in shown else shown


def _escape(match: re.Match[str]) -> str:
    return escape(match[0])


def _keep_rendition(match: re.Match[str]) -> str:
    return match[1] or escape(match[0])


def _drop_rendition(match: re.Match[str]) -> str:
    return "" if match[1] else escape(match[0])
