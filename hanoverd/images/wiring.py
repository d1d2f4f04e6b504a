"""Creates what sources of images need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hanoverd.docker.credentials import Credentials
from hanoverd.docker.engine import Engine, EngineReactor
from hanoverd.docker.pools import Pools
from hanoverd.images import SourceContext, SourceReactor
from hanoverd.runtime.reactors import ServiceReactor
from hanoverd.runtime.state_folder import state_folder
from hanoverd.spec.source import SourceSpec

#: The maximum number of threads for each kind of request to the engine. Each running version, also a draining one, uses
#: two streams (its output, its exit). A thread starts when it is needed.
MAX_REQUESTS, MAX_STOPS, MAX_STREAMS = 50, 250, 1000


class ObtainReactor(EngineReactor, SourceReactor, ServiceReactor):
    """The parts of a reactor that a program which obtains images needs: the daemon, or the builder."""


def make_pool() -> Pools:
    """Return the threads for requests to the engine."""
    return Pools.of(MAX_REQUESTS, MAX_STOPS, MAX_STREAMS)


def make_source_context(
    spec: SourceSpec, app: str, environ: Mapping[str, str], reactor: SourceReactor, engine: Engine
) -> SourceContext:
    """Return the context for the source of ``app``."""
    return SourceContext(
        reactor=reactor,
        engine=engine,
        credentials=Credentials(reactor, environ),
        environ=environ,
        app=app,
        folder=Path(spec.folder),
        state_folder=Path(spec.state_folder) if spec.state_folder else state_folder(environ, os.geteuid()),
        build=spec.build,
        pull=spec.pull,
        git=spec.git,
        max_archive_size=spec.max_archive_size,
    )
