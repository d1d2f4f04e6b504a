"""What the page shows: each app of the host, as its daemon reports it.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class AppState:
    """An app.

    ``status`` is the answer to ``GET /status``, None where there was none yet.  ``handovers`` are those of ``GET /history``, the
    newest last.  ``log`` are the last lines of ``GET /logs``.  ``problem`` says why the daemon does not answer; "" if it does.
    ``connections`` are the open TCP connections by role, ``live`` and ``draining``, where they are known.
    """

    app: str
    status: Mapping[str, Any] | None
    handovers: tuple[Mapping[str, Any], ...] = ()
    log: tuple[str, ...] = ()
    problem: str = ""
    connections: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class HostState:
    """All apps, sorted by their names; ``problems`` are about sockets that are not used, for people."""

    apps: tuple[AppState, ...] = ()
    problems: tuple[str, ...] = ()
