"""Puts together what obtains images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanoverd.docker.credentials import Credentials
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.images import SourceContext
from hanoverd.spec.source import SourceSpec

#: The most threads for each kind of request to the engine.  Each running version, also one that is draining, keeps two
#: for streams (its output, its end).  A thread starts when it is needed.
MOST_REQUESTS, MOST_STOPS, MOST_STREAMS = 50, 250, 1000


def make_pool() -> Pools:
    """The threads for the engine."""
    return Pools.of(MOST_REQUESTS, MOST_STOPS, MOST_STREAMS)


def make_source_context(
    spec: SourceSpec, app: str, environ: Mapping[str, str], reactor: Any, engine: Engine
) -> SourceContext:
    """What the source of ``app`` finds around it."""
    return SourceContext(
        reactor=reactor,
        engine=engine,
        credentials=Credentials(reactor, environ),
        environ=environ,
        app=app,
        folder=Path(spec.folder),
        state_folder=Path(spec.state_folder),
        build=spec.build,
        pull=spec.pull,
        git_protocol=spec.git_protocol,
    )
