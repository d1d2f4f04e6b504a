"""What the user wants of builds and pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Who builds: the engine's classic builder, BuildKit through the docker command, or whichever the Dockerfile needs.
BUILDERS = AUTO, CLASSIC, BUILDKIT = ("auto", "classic", "buildkit")

#: When to pull an image, in the words of docker run.
PULLS = ALWAYS, MISSING, NEVER = ("always", "missing", "never")


@dataclass(frozen=True)
class BuildOptions:
    """``file`` is the Dockerfile (None: the one in the context); ``args`` maps names to values, None for those that
    stay unset; ``target`` is the stage to build.
    """

    file: str | None = None
    args: Mapping[str, str | None] = field(default_factory=dict, repr=False)
    target: str | None = None
    no_cache: bool = False
    builder: str = AUTO


def parse_build_arg(text: str, environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Read ``NAME=VALUE``, or ``NAME`` for the value that ``environ`` has; ValueError where there is no name."""
    name, assigned, value = text.partition("=")
    if not name:
        raise ValueError(f"invalid build argument {text!r}: write NAME=VALUE, or NAME for the environment's value")
    return name, value if assigned else environ.get(name)
