"""The variables of a container's environment, as Docker's command line reads ``--env``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def parse_variable(text: str, environ: Mapping[str, str]) -> str:
    """Return the entry for the engine.

    ``NAME=VALUE`` stays as it is, nothing in it is expanded.  ``NAME`` takes its value from ``environ``; if it has none
    there, the entry has none either, and the engine removes the image's own value.

    ValueError, in docker's words, for an entry without a name, or a value of ``environ`` that is not UTF-8.
    """
    name, has_value, _ = text.partition("=")
    if not name:
        raise ValueError(f"invalid environment variable: {text} (write NAME=VALUE, or NAME to pass it on)")
    return text if has_value or name not in environ else inherited_entry(name, environ)


def inherited_entry(name: str, environ: Mapping[str, str]) -> str:
    """Return the entry of a variable that is set in ``environ``; ValueError if its value is not UTF-8."""
    return f"{name}={_utf8(name, environ[name])}"


def last_of_each_name(entries: Iterable[str]) -> tuple[str, ...]:
    """Return the entries that count: the last one of each name, in the order of the names."""
    return tuple({entry.partition("=")[0]: entry for entry in entries}.values())


def _utf8(name: str, value: str) -> str:
    # Python keeps what it cannot decode as surrogates, which JSON for the engine cannot hold.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"invalid environment variable: {name} (its value is not UTF-8)") from None
    return value
