"""Apps as the page shows them, at a glance.  Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from hanoverd.text.addresses import bracketed
from hanoverd.text.counting import counted
from hanoverd.text.short_id import short_id
from hanoverd.web.ages import Moment
from hanoverd.web.handovers import Handover, handover_of, origin_of
from hanoverd.web.state import AppState, HostState

#: The tone and the word of each state.  Tones are ``good``, ``busy``, ``warn``, ``bad`` and ``idle``.
_STATES = {
    "live": ("good", "Live"),
    "handing over": ("busy", "Handing over"),
    "down": ("bad", "Down"),
    "stopping": ("warn", "Stopping"),
    "no daemon": ("bad", "No hanoverd"),
}

#: The outcomes after which someone has to look.
_BAD_OUTCOMES = frozenset({"failed", "interrupted"})


@dataclass(frozen=True)
class Version:
    """A version.  ``origin`` says what it was made of; ``since`` is when it went live, or, of a kept one, was created."""

    name: str
    number: int
    image: str
    image_id: str
    origin: str
    rollback_to: str
    since: Moment


@dataclass(frozen=True)
class App:
    """An app at a glance.

    ``tone`` and ``word`` are its state, ``says`` is the same in a sentence.  ``current`` is the handover in progress, ``failure``
    the last one if it failed.  ``connections`` is how many the live version has, ``draining`` says what drains.
    """

    name: str
    url: str
    tone: str
    word: str
    says: str
    problem: str
    is_known: bool
    needs_attention: bool
    is_paused: bool
    held: tuple[str, ...]
    held_count: int
    live: Version | None
    current: Handover | None
    failure: Handover | None
    connections: str
    draining: str
    kept: tuple[Version, ...]
    ports: tuple[str, ...]
    repairs: str
    process: str


@dataclass(frozen=True)
class Host:
    """All apps.  ``summary`` is how they are, in a sentence; ``attention`` are the apps with a problem."""

    apps: tuple[App, ...]
    summary: str
    attention: tuple[App, ...]
    problems: tuple[str, ...]


def host_of(host: HostState, now: float) -> Host:
    """Return what the page of all apps shows."""
    apps = tuple(app_of(state, now) for state in host.apps)
    return Host(apps, _summary(apps), tuple(app for app in apps if app.needs_attention), host.problems)


def app_of(state: AppState, now: float) -> App:
    """Return what is shown of an app at a glance."""
    status: Mapping[str, Any] = state.status or {}
    live, record = status.get("live"), status.get("handover")
    version = None if live is None else _version(live, float(live["since"]), now)
    last = None if record is None else handover_of(record, now)
    failure = last if last is not None and last.outcome in _BAD_OUTCOMES else None
    current = last if last is not None and not last.is_over else None
    tone, word = _state(state)
    return App(
        name=state.app,
        url=f"/apps/{quote(state.app, safe='')}",
        tone=tone,
        word=word,
        says=_sentence(state, version, current, failure),
        problem=state.problem,
        is_known=state.status is not None,
        needs_attention=tone == "bad" or failure is not None,
        is_paused=bool(status.get("paused")),
        held=tuple(status.get("held", ())),
        held_count=int(status.get("held_count", 0)),
        live=version,
        current=current,
        failure=failure,
        connections=_connections(state, "live"),
        draining=_draining(state),
        kept=tuple(_version(one, float(one["created"]), now) for one in status.get("kept", ())),
        ports=tuple(_port(port) for port in status.get("ports", ())),
        repairs=counted(int(status["repairs"]), "time") if status.get("repairs") else "",
        process="" if status.get("pid") is None else f"{status['pid']}, hanoverd {status['hanoverd']}",
    )


def _summary(apps: tuple[App, ...]) -> str:
    live = sum(1 for app in apps if app.live is not None and not app.problem)
    if not apps:
        return "No hanoverd runs on this host."
    if live == len(apps):
        return "The app is live." if live == 1 else f"All {live} apps are live."
    return f"{live} of {counted(len(apps), 'app')} {'is' if live == 1 else 'are'} live."


def _state(state: AppState) -> tuple[str, str]:
    if state.problem:
        return "bad", "No answer"
    if state.status is None:
        return "idle", "Unknown"
    found = str(state.status["state"])
    return _STATES.get(found, ("idle", found))


def _sentence(state: AppState, live: Version | None, current: Handover | None, failure: Handover | None) -> str:
    """Return the state in a sentence, as a screen reader announces it when it changes."""
    if state.problem:
        return f"{state.app}: hanoverd does not answer"
    if state.status is None:
        return f"{state.app}: not known yet"
    serves = f"{live.name} is live" if live is not None else "no version is live"
    if current is not None:
        step = f": {current.current.label}" if current.current is not None else ""
        return f"{state.app}: {serves}, handing over to {current.version or 'the next version'}{step}"
    if failure is not None:
        return (
            f"{state.app}: {serves}, the last handover {'failed' if failure.outcome == 'failed' else 'was interrupted'}"
        )
    return f"{state.app}: {serves}{', paused' if state.status.get('paused') else ''}"


def _version(version: Mapping[str, Any], since: float, now: float) -> Version:
    return Version(
        name=version["version"],
        number=int(version["number"]),
        image=version["image"],
        image_id=short_id(version["image_id"]),
        origin=origin_of(version),
        rollback_to=version.get("rollback_to", ""),
        since=Moment.of(since, now),
    )


def _connections(state: AppState, role: str) -> str:
    count = state.connections.get(role)
    return "" if count is None else counted(count, "open connection")


def _draining(state: AppState) -> str:
    names = tuple((state.status or {}).get("draining", ()))
    open_ones = _connections(state, "draining")
    return f"{', '.join(names)}{f' with {open_ones}' if open_ones else ''}" if names else ""


def _port(port: Mapping[str, Any]) -> str:
    return f"{bracketed(str(port['host_ip']))}:{port['host_port']} → {port['container_port']}/{port.get('protocol', 'tcp')}"
