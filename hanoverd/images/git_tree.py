"""The list of what a commit has, read before it is checked out: a few hundred bytes can describe more files than a disk holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

#: How many files and folders a commit may have, with its submodules.
MAX_ENTRIES = 1_000_000

#: What a file needs on disk besides its content, in bytes.
_OVERHEAD = 4096

#: The longest path that is read, in bytes; Linux allows 4096.
_LONGEST = 64 * 1024

#: The mode of a submodule (git-fast-import(1)).
_SUBMODULE = b"160000"


@dataclass
class Budget:
    """How many files and folders, and how many bytes, may still be checked out."""

    max_size: int
    entries: int = field(default=0, init=False)
    size: int = field(default=0, init=False)

    @property
    def excess(self) -> str:
        """What there is too much of; "" while there is not."""
        if self.entries > MAX_ENTRIES:
            return f"more than {MAX_ENTRIES} files and folders"
        return (
            f"files of more than {self.max_size} bytes in total (--git-max-size)" if self.size > self.max_size else ""
        )


class TreeReader:
    """Reads the output of ``git ls-tree -r -t -l -z``, and calls ``stop`` once when there is too much.

    ``submodules`` are the commits of the submodules, by path. ``excess`` is what there is too much of, or "".
    """

    #: Ends the program that writes the output.
    stop: Callable[[], object]

    def __init__(self, budget: Budget) -> None:
        self.submodules: dict[str, str] = {}
        self.excess = ""
        self._budget = budget
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take the next piece of the output."""
        if self.excess:
            return
        *entries, self._rest = (self._rest + data).split(b"\0")
        for entry in entries:
            self._entry(entry)
        self.excess = self._budget.excess or ("a path that is too long" if len(self._rest) > _LONGEST else "")
        if self.excess:
            self.stop()

    def _entry(self, entry: bytes) -> None:
        # 100644 blob e69de29bb2d1d6434b8b29ae775ad8c2e48c5391       0<tab>a/file
        head, _, path = entry.partition(b"\t")
        mode, _, sha, size = head.split()
        self._budget.entries += 1
        self._budget.size += _OVERHEAD + (int(size) if size != b"-" else 0)
        if mode == _SUBMODULE:
            self.submodules[path.decode(errors="surrogateescape")] = sha.decode()
