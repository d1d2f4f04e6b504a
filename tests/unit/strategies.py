"""Hypothesis strategies that several unit tests share."""

from __future__ import annotations

import string

from hypothesis import strategies as st

#: Any text that a command line can hold: lone surrogates stand for bytes that are not UTF-8.
any_text = st.text(st.characters(exclude_categories=(), exclude_characters="\0"), max_size=30)


def text_like(alphabet: str, max_size: int = 20) -> st.SearchStrategy[str]:
    """Return any text, and more often text of the given characters, which comes closer to a grammar."""
    return st.text(alphabet, max_size=max_size) | any_text


#: Lowercase words that are valid as a part of a path, a name or a host.
words = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
