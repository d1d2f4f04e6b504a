"""Puts together what obtains images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.python.threadpool import ThreadPool

from hanoverd.commandline.settings import Obtaining
from hanoverd.edges.credentials import Credentials
from hanoverd.edges.engine import Engine
from hanoverd.sources import Surroundings

#: Each running version keeps two threads (its output, its end), each handover and retirement one more.  A thread
#: is made when it is needed.
MOST_THREADS = 500


def make_pool() -> ThreadPool:
    """The threads for the engine."""
    return ThreadPool(minthreads=0, maxthreads=MOST_THREADS, name="engine")


def make_surroundings(
    obtaining: Obtaining, app: str, environ: Mapping[str, str], reactor: Any, engine: Engine
) -> Surroundings:
    """What the source of ``app`` finds around it."""
    return Surroundings(
        reactor=reactor,
        engine=engine,
        credentials=Credentials(reactor, environ),
        environ=environ,
        app=app,
        folder=Path(obtaining.folder),
        state_folder=Path(obtaining.state_folder),
        build=obtaining.build,
        pull=obtaining.pull,
        git_protocol=obtaining.git_protocol,
    )
