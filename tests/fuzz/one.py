"""Fuzz one target in this process.  usage: python -m tests.fuzz.one TARGET CRASHES LIBFUZZER-ARGUMENT...

The first input of each kind of crash is written to the folder CRASHES, with its traceback, and the run goes on. libFuzzer
itself ends the run at an input that needs too much time or memory.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.fuzz.target import Target


def guarded(target: Target, crashes: Path) -> Callable[[bytes], None]:
    """Return the function that tries an input, and writes what crashes."""
    seen: set[str] = set()

    def try_one(data: bytes) -> None:
        try:
            target.run(data)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} {place.filename}:{place.lineno}"
            if kind not in seen:
                seen.add(kind)
                name = hashlib.sha256(kind.encode()).hexdigest()[:8]
                (crashes / f"{target.name}-{name}").write_bytes(data)
                (crashes / f"{target.name}-{name}.txt").write_text("".join(traceback.format_exception(error)))

    return try_one


def main() -> None:
    """Fuzz until a limit of libFuzzer is reached; does not return."""
    import atheris  # noqa: PLC0415  # only here: it is not available everywhere

    name, crashes, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["hanoverd", "tarfile"], enable_loader_override=False):
        from tests.fuzz.targets import load  # noqa: PLC0415  # as above

        target = load(name)
    atheris.Setup([sys.argv[0], *arguments], guarded(target, Path(crashes)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
