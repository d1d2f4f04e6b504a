"""The variables of a container's environment, as Docker's command line reads ``--env``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def parse_env(texts: Iterable[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """The entries for the engine; the last of a name wins.

    ``NAME=VALUE`` stays as it is, nothing in it is expanded.  ``NAME`` takes its value from ``environ``, and
    where that has none stays bare, which makes the engine drop the image's own value.

    ValueError, in docker's words, for an entry without a name, or a value of ``environ`` that is not UTF-8.
    """
    entries: dict[str, str] = {}
    for text in texts:
        name, has_value, _ = text.partition("=")
        if not name:
            raise ValueError(f"invalid environment variable: {text} (write NAME=VALUE, or NAME to pass it on)")
        if has_value or name not in environ:
            entries[name] = text
        else:
            entries[name] = f"{name}={_utf8(name, environ[name])}"
    return tuple(entries.values())


def _utf8(name: str, value: str) -> str:
    # What Python could not decode it keeps as surrogates, which no JSON for the engine can hold.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"invalid environment variable: {name} (its value is not UTF-8)") from None
    return value
