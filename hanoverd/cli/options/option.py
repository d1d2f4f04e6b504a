"""A row of the table of options."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hanoverd.cli.options.values import TEXT, Value


class Kind(Enum):
    """How often an option is given, and whether it needs a value."""

    VALUE = "the last value counts"
    BOOLEAN = "needs no value; true or false can follow a ="
    REPEATED = "all values count"


class Secret(Enum):
    """What of an option's text other users of the host must not see in the list of processes."""

    NOTHING = "nothing"
    AFTER_EQUALS = "what follows the first ="
    AFTER_COLON = "what follows the first :, or all of it without one"
    ALL = "all of it"
    IN_URL = "the user name, the password and the query in a URL"


@dataclass(frozen=True)
class Option:
    """One option.

    ``help`` is one line for ``--help``; ``text`` says the rest, in reStructuredText, for the documentation.
    ``default`` is written as a user would write it; without one, nothing is passed on if the option is not given.
    ``value`` reads the text.  ``place`` is where the value goes in the specification, such as ``health.uri``;
    ``request`` is where it goes in the request that creates a container, such as ``HostConfig.Init``.  If the option is
    not given, the environment ``variable`` counts.  ``synonyms`` are other names, which help does not list.
    """

    name: str
    help: str
    letter: str | None = None
    kind: Kind = Kind.VALUE
    metavar: str = ""
    default: str | None = None
    text: str = ""
    value: Value = TEXT
    place: str = ""
    request: str = ""
    secret: Secret = Secret.NOTHING
    variable: str | None = None
    synonyms: tuple[str, ...] = ()

    @property
    def flags(self) -> str:
        """The name in messages: ``-e, --env``."""
        return f"-{self.letter}, --{self.name}" if self.letter else f"--{self.name}"
