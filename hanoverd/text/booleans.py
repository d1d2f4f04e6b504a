"""True and false, as Docker's command line reads them."""

from __future__ import annotations

from hanoverd.text.quoting import quoted

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_boolean(text: str) -> bool:
    """The boolean that ``text`` spells (Go's ``strconv.ParseBool``); ValueError if it spells none."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax (write true or false)")
