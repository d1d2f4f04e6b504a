"""How images are built and pulled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The builder: the engine's classic one, BuildKit through the docker command, or the one that the Dockerfile needs.
BUILDERS = AUTO, CLASSIC, BUILDKIT = ("auto", "classic", "buildkit")

#: The default of ``context_limit``: 16 GiB.
CONTEXT_LIMIT = 16 << 30

#: When to pull an image, as in docker run.
PULLS = ALWAYS, MISSING, NEVER = ("always", "missing", "never")


@dataclass(frozen=True)
class BuildOptions:
    """A build, or a pull: ``platform`` is for both, and empty for the engine's own.

    ``file`` is the Dockerfile, None for the one in the context.  ``args`` maps the names of build arguments to their
    values, None for an argument that stays unset.  ``target`` is the stage to build, None for the last.  The files of a
    build context have at most ``context_limit`` bytes together, 0 for no limit.
    """

    file: str | None = None
    args: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    target: str | None = None
    no_cache: bool = False
    platform: str = ""
    builder: str = AUTO
    context_limit: int = CONTEXT_LIMIT


def parse_pull(text: str) -> str:
    """Read when to pull an image; an empty text is ``never``.  ValueError, in docker's words."""
    if text and text not in PULLS:
        raise ValueError(f'invalid pull option: \'{text}\': must be one of "always", "missing" or "never"')
    return text or NEVER


def parse_build_arg(text: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the name and value of ``NAME=VALUE``, or of ``NAME`` with the value in ``environ``; ValueError without a name."""
    name, assigned, value = text.partition("=")
    if not name:
        raise ValueError(f"invalid build argument {text!r}: write NAME=VALUE, or NAME for the environment's value")
    return name, value if assigned else environ.get(name)
