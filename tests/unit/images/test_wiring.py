"""What the sources of an app get."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hanoverd.images.wiring import make_source_context
from hanoverd.runtime.state_folder import state_folder
from hanoverd.spec.source import SourceSpec
from hanoverd.spec.source_name import SourceName

ENVIRON = {"HOME": "/home/me", "PATH": "/usr/bin"}


def folder_for_state(given: str | None) -> Path:
    """Return where copies of repositories are kept for an app that is started in /srv/clone."""
    nothing: Any = None
    spec = SourceSpec(SourceName("git", "h/me/app"), folder="/srv/clone", state_folder=given)
    return make_source_context(spec, "app", ENVIRON, nothing, nothing).state_folder


def test_state_is_kept_outside_of_the_current_folder_unless_it_is_chosen() -> None:
    assert folder_for_state(None) == state_folder(ENVIRON, os.geteuid())
    assert not folder_for_state(None).is_relative_to("/srv/clone")
    assert folder_for_state("/srv/clone") == Path("/srv/clone")
