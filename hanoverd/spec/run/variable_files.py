"""Files of variables and labels, as Docker's command line reads them for ``--env-file`` and ``--label-file``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hanoverd.spec.environment import inherited_entry

#: The longest line that docker reads, in bytes (Go's ``bufio.MaxScanTokenSize``, less the line end).
_LONGEST_LINE = 65535
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

#: What Go's ``unicode.IsSpace`` takes for a blank.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"


def parse_env_file(name: str, data: bytes, environ: Mapping[str, str]) -> list[str]:
    """Return the entries ``NAME=VALUE`` of a file of variables.

    ``NAME`` alone takes its value from ``environ``, and is left out if it is not set there.  ValueError, in docker's
    words.
    """
    entries = []
    for variable, entry in _entries(name, data):
        if entry is not None:
            entries.append(entry)
        elif variable in environ:
            entries.append(inherited_entry(variable, environ))
    return entries


def parse_label_file(name: str, data: bytes) -> list[tuple[str, str]]:
    """Return the labels of a file; a line without a value is left out, as docker does.  ValueError, in docker's words."""
    found = (entry.partition("=") for _, entry in _entries(name, data) if entry is not None)
    return [(key, value) for key, _, value in found]


def _entries(name: str, data: bytes) -> Iterator[tuple[str, str | None]]:
    """Yield the name of each line with the entry; None if the line is a name alone."""
    for number, raw in enumerate(_lines(data), 1):
        if len(raw) > _LONGEST_LINE:
            raise ValueError(f"invalid env file ({name}): bufio.Scanner: token too long")
        try:
            line = raw.decode().lstrip(_SPACES)
        except UnicodeDecodeError:
            raise ValueError(
                f"invalid env file ({name}): invalid utf8 bytes at line {number} (write the file in UTF-8)"
            ) from None
        if not line or line.startswith("#"):
            continue
        variable, equals, _ = line.partition("=")
        if " " in variable or "\t" in variable:
            raise ValueError(f"invalid env file ({name}): variable '{variable}' contains whitespaces")
        if not variable:
            raise ValueError(f"invalid env file ({name}): no variable name on line '{line}'")
        yield variable, line if equals else None


def _lines(data: bytes) -> Iterator[bytes]:
    lines = data.removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    for line in lines:
        yield line.removesuffix(b"\r")
