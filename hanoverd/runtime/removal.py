"""Removes folders of any size and depth, without blocking the reactor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred

from hanoverd.runtime.cancellation import shielded
from hanoverd.runtime.processes import ProcessReactor, run


async def remove_folder(reactor: ProcessReactor, environ: Mapping[str, str], folder: Path) -> None:
    """Remove the folder with all that is in it, as far as possible; idempotent. Links are removed, not followed.

    Ignores cancellation. Fails with ``ProgramMissing`` or ``ProgramNotStarted``.
    """
    # Not shutil.rmtree: before Python 3.13 it is recursive, and fails for a thousand levels.
    command = ["rm", "-rf", "--", str(folder)]
    await shielded(Deferred.fromCoroutine(run(reactor, command, environ, cwd="/", limit=_LIMIT)))


#: How much of its messages is kept, in bytes.
_LIMIT = 1024 * 1024
