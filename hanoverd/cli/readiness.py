"""Which options of readiness go together."""

from __future__ import annotations

from hanoverd.cli.given import Given
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.health import HealthSpec, StatusKind
from hanoverd.text.durations import format_duration

_HTTP = (StatusKind.HTTP, StatusKind.HTTPS)
_PORTS = (*_HTTP, StatusKind.TCP)

#: The kinds for which each option has a meaning.
_KINDS = {
    "status-uri": _HTTP,
    "status-header": _HTTP,
    "status-ok": _HTTP,
    "status-port": _PORTS,
    "status-successes": _PORTS,
    "status-interval": (*_PORTS, StatusKind.DOCKER),
}

_WHY = {
    StatusKind.TCP: "tcp only opens connections, and sends no request",
    StatusKind.DOCKER: "docker asks the engine for the state of the container's health check",
    StatusKind.NONE: "none makes no check",
}


def check_readiness(given: Given, health: HealthSpec) -> None:
    """Raise UsageError for options of readiness that have no meaning together."""
    kind = health.probe.kind
    for name, kinds in _KINDS.items():
        if given.is_given(name) and kind not in kinds:
            raise UsageError(f"--{name} has no meaning with --status-kind {kind}: {_WHY[kind]}. Remove one of them")
    if kind is StatusKind.DOCKER and given.value("no-healthcheck"):
        raise UsageError("--no-healthcheck disables the check that --status-kind docker waits for: remove one of them")
    if health.least_time >= health.ready_timeout:
        raise UsageError(
            f"--status-timeout {format_duration(health.ready_timeout)} is too short: a version needs more than "
            f"{format_duration(health.least_time)} to be ready with {_reason(health)}"
        )


def _reason(health: HealthSpec) -> str:
    probe = health.probe
    if probe.kind is StatusKind.NONE:
        return f"--status-kind {probe.kind}"
    return f"--status-successes {probe.successes}" + ("" if probe.interval is None else " and this --status-interval")
