"""The documentation of the events of the log: ``docs/log-events.rst``."""

from __future__ import annotations

import sys
import textwrap

from hanoverd.logs.events import EVENTS, FIELDS, MISSED, LogKind

_INTRODUCTION = """\
.. This page is generated from the table of events:
   scripts/generate

Events of the log
=================

With ``--log-format json``, each line of the log is a JSON object with ``time``, ``level``, ``event``, ``message`` and the fields
of the event. The `stream of events <control.rst#events>`_ has the same objects. The names of events and fields stay the same; the wording of messages may change. A message without an event of
its own has the event ``other``.

.. contents::
   :local:

Events
------
"""

_WIDTH = 120


def reference() -> str:
    """Return the page."""
    events = "\n".join(_definition(f"``{kind.id}``", f"{kind.meaning}{_fields(kind)}") for kind in (*EVENTS, MISSED))
    fields = "\n".join(_definition(f"``{name}``", _sentence(meaning)) for name, meaning in FIELDS.items())
    return f"{_INTRODUCTION}\n{events}\nFields\n------\n\n{fields}"


def _definition(term: str, text: str) -> str:
    lines = textwrap.wrap(
        text, _WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )
    return "\n".join([term, *lines, ""])


def _fields(kind: LogKind) -> str:
    names = ", ".join(f"``{name}``" for name in FIELDS if name in kind.fields)
    return f" Fields: {names}." if names else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    sys.stdout.write(reference())
