"""The type of a target: a parser, the errors by which it refuses an input, and what holds for what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A folder of inputs for each target.
SEEDS = Path(__file__).with_name("seeds")


@dataclass(frozen=True)
class Target:
    """``parse`` reads an input, or refuses it with one of ``refusals``: every other error is a crash.

    ``check`` raises any error if the result is wrong for the input. ``longest`` is the size of the largest input, in bytes.
    ``words`` are texts that the parser looks for.
    """

    name: str
    parse: Callable[[bytes], Any]
    check: Callable[[bytes, Any], object]
    refusals: tuple[type[Exception], ...] = ()
    words: tuple[str, ...] = ()
    longest: int = 2048

    def run(self, data: bytes) -> None:
        """Try one input; any error that this raises is a mistake in the parser."""
        try:
            result = self.parse(data)
        except self.refusals as refusal:
            if isinstance(refusal, UnicodeError) or not str(refusal):
                raise AssertionError(f"the reason is not a message for a user: {refusal!r}") from refusal
        else:
            self.check(data, result)

    def seeds(self) -> list[Path]:
        """Return the files with its first inputs."""
        return sorted((SEEDS / self.name).iterdir())


def text_of(data: bytes) -> str:
    """Return an input as text, as Python reads arguments and file names: bytes that are not UTF-8 become surrogates."""
    return data.decode("utf-8", "surrogateescape")
