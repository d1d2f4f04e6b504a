"""Apps as their daemons report them, for tests of the page."""

from __future__ import annotations

from typing import Any

from hanoverd.web.pages import Chrome
from hanoverd.web.state import AppState

#: The Unix time of the tests: 2026-11-28 22:00:00 UTC.
NOW = 1_795_903_200.0

CHROME = Chrome(csrf="the token of the forms", actions=True, can_log_out=False, now=NOW, host="node7")
READ_ONLY = Chrome(csrf="the token of the forms", actions=False, can_log_out=False, now=NOW, host="node7")

PHASES = (("obtained", 0.5), ("created", 0.01), ("started", 0.2), ("ready", 0.08), ("routed", 0.01))

WHY = "exited with code 3 before it was ready; its last 2 lines:\n    Traceback:\n    KeyError: 'DATABASE_URL'"


def version(number: int, app: str = "web", **values: Any) -> dict[str, Any]:
    """Return a version that is kept."""
    return {
        "version": f"{app}-{number}",
        "number": number,
        "state": "kept",
        "image": f"registry.example/{app}:main",
        "image_id": f"sha256:{number:064x}",
        "source": f"build /srv/{app}",
        "revision": "",
        "rollback_to": "",
        "created": NOW - 86400.0 * 3,
        **values,
    }


def live_version(number: int, app: str = "web", **values: Any) -> dict[str, Any]:
    """Return a version that is live for two hours."""
    return version(number, app, state="live", address="172.17.0.4", since=NOW - 7200.0, **values)


def handover(number: int, outcome: str = "live", app: str = "web", **values: Any) -> dict[str, Any]:
    """Return a handover that was started ten minutes ago."""
    over = {"live": 5, "under way": 2, "failed": 3, "cancelled": 1, "unchanged": 1, "interrupted": 3}[outcome]
    phases = [{"phase": phase, "seconds": seconds} for phase, seconds in PHASES[:over]]
    is_over = outcome not in ("under way", "interrupted")
    return {
        "id": number,
        "trigger": "hanoverd deploy",
        "began": NOW - 600.0,
        "app": app,
        "asked_by": [{"kind": "command", "user": "alice", "uid": 1000, "topic": "", "commit": ""}],
        "version": f"{app}-{number}",
        "number": number,
        "old": f"{app}-{number - 1}",
        "rollback_to": "",
        "source": f"build /srv/{app}",
        "revision": "",
        "image": f"registry.example/{app}:main",
        "image_id": f"sha256:{number:064x}",
        "changes": None,
        "phases": phases,
        "outcome": outcome,
        "why": WHY if outcome == "failed" else "",
        "took": 0.8 if is_over else None,
        "drained": [],
        "losses": 0,
        **values,
    }


def status(app: str = "web", **values: Any) -> dict[str, Any]:
    """Return the status of an app that is live, and has had no handover."""
    return {
        "app": app,
        "state": "live",
        "live": live_version(4, app),
        "ports": [{"host_ip": "0.0.0.0", "host_port": 8080, "container_ip": "172.17.0.4", "container_port": 80}],
        "draining": [],
        "handover": None,
        "paused": False,
        "held": [],
        "held_count": 0,
        "kept": [version(3, app), version(2, app)],
        "repairs": 0,
        "pid": 4711,
        "hanoverd": "1.0",
        **values,
    }


def state(app: str = "web", **values: Any) -> AppState:
    """Return the state of an app, with these values of its status."""
    return AppState(app, status(app, **values))


def busy(app: str = "web") -> AppState:
    """Return the state of an app during a handover that was started five seconds ago, and has created its container."""
    current = handover(5, "under way", app, began=NOW - 5.0)
    return AppState(app, status(app, state="handing over", handover=current), (current,))


def failed(app: str = "web") -> AppState:
    """Return the state of an app whose last handover has failed."""
    last = handover(5, "failed", app)
    return AppState(app, status(app, handover=last), (handover(4, "live", app), last))


def many_handovers(count: int, app: str = "web") -> AppState:
    """Return the state of an app with a long history: every tenth handover has failed, every tenth was cancelled."""
    outcomes = ["live"] * 4 + ["failed"] + ["live"] * 4 + ["cancelled"]
    found = tuple(
        handover(number, outcomes[number % 10], app, began=NOW - 3600.0 * (count - number), took=0.5 + number % 7)
        for number in range(1, count + 1)
    )
    return AppState(app, status(app, live=live_version(count, app)), found)
