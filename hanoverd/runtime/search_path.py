"""Where programs are found: in the absolute folders of PATH only.

An empty element of PATH, and a relative one, means the current folder or a folder in it (execvp(3), POSIX section 8.3).
That folder may be an untrusted repository.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, MutableMapping

from hanoverd.runtime.errors import ProgramMissing


def limit_search_path(environ: MutableMapping[str, str]) -> None:
    """Remove the elements of PATH that are not absolute: libraries and child processes search it, too."""
    if "PATH" in environ:
        # An empty PATH would mean the current folder.
        environ["PATH"] = os.pathsep.join(_folders(environ)) or os.defpath


def find_program(name: str, environ: Mapping[str, str]) -> str:
    """Return the path of the program ``name`` on PATH; an absolute path is returned if it can be executed.

    Fails with ``ProgramMissing``.
    """
    found = next(find_programs(name, environ), None)
    if found is None:
        raise ProgramMissing(name)
    return found


def find_programs(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths of all programs ``name`` on PATH, the first one first."""
    if name.startswith("/"):
        folders = ["/"]
    elif "/" in name:
        folders = []
    else:
        folders = _folders(environ)
    for folder in folders:
        found = shutil.which(os.path.join(folder, name))  # noqa: PTH118  # text in, text out
        if found is not None:
            yield found


def _folders(environ: Mapping[str, str]) -> list[str]:
    return [folder for folder in environ.get("PATH", "").split(os.pathsep) if folder.startswith("/")]
