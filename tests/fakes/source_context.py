"""What a source finds around it in a test."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hanoverd.docker.credentials import Credentials
from hanoverd.images import SourceContext
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.git_options import GitOptions


def source_context(
    reactor: Any,
    engine: Any,
    folder: Path,
    app: str = "app",
    *,
    build: BuildOptions | None = None,
    pull: str | None = None,
    environ: Mapping[str, str] | None = None,
    state_folder: Path | None = None,
    git: GitOptions | None = None,
) -> SourceContext:
    """Return the context that hanoverd provides, without logins."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/nowhere", **(environ or {})}
    return SourceContext(
        reactor=reactor,
        engine=engine,
        credentials=Credentials(reactor, environ),
        environ=environ,
        app=app,
        folder=folder,
        state_folder=state_folder or folder,
        build=build or BuildOptions(),
        pull=pull,
        git=git or GitOptions(),
    )
