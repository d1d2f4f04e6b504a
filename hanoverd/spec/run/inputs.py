"""The variables and labels of a container, which are partly in files: the files are read again for each version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from hanoverd.spec.run.variable_files import parse_env_file, parse_label_file

#: Returns the contents of a file; raises OSError.
ReadFile = Callable[[str], bytes]


@dataclass(frozen=True)
class Inputs:
    """Where the variables and labels come from: paths of files, and what the command line sets, which overrides them."""

    env_files: tuple[str, ...] = ()
    env: tuple[str, ...] = field(default=(), repr=False)
    label_files: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_files(self) -> bool:
        """Whether anything is in a file."""
        return bool(self.env_files or self.label_files)

    def variables(self, read_file: ReadFile, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return the entries of the environment; OSError, or ValueError in docker's words."""
        entries = [entry for path in self.env_files for entry in parse_env_file(path, read_file(path), environ)]
        return (*entries, *self.env)

    def all_labels(self, read_file: ReadFile) -> dict[str, str]:
        """Return the labels; OSError, or ValueError in docker's words."""
        found = dict(pair for path in self.label_files for pair in parse_label_file(path, read_file(path)))
        return {**found, **self.labels}


def with_proxies(entries: Iterable[str], proxies: Mapping[str, str]) -> tuple[str, ...]:
    """Return ``entries`` and the variables of proxies that none of them names."""
    given = tuple(entries)
    named = {entry.partition("=")[0] for entry in given}
    return (*given, *(f"{name}={value}" for name, value in proxies.items() if name not in named))
