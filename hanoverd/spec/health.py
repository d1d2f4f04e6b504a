"""When a version counts as ready, and as alive."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from hanoverd.spec.request_header import Header
from hanoverd.spec.status_codes import OK, StatusCodes

#: How long a version must have run to be ready where nothing else shows it, in seconds.
RUNS_FOR = 1.0

#: The time from one success to the next probe, in seconds, where several successes are needed and no interval is given.
CONFIRM_INTERVAL = 0.25


class StatusKind(StrEnum):
    """What shows that a version is ready."""

    HTTP = "http"
    HTTPS = "https"
    TCP = "tcp"
    DOCKER = "docker"
    NONE = "none"

    @property
    def sends_requests(self) -> bool:
        """Whether a port is sent HTTP requests."""
        return self in (StatusKind.HTTP, StatusKind.HTTPS)

    @property
    def probes_ports(self) -> bool:
        """Whether ports are connected to."""
        return self.sends_requests or self is StatusKind.TCP


@dataclass(frozen=True)
class ProbeSpec:
    """How a version is probed.

    An HTTP request is for ``uri``, a path with an optional query, with ``headers``, and the status of its answer must be in
    ``ok``.  ``port`` is the port of the container that is asked; None: any that is published.  ``interval`` is the time
    between two probes in seconds; None: it grows.  A version is ready after so many ``successes`` in a row.
    """

    kind: StatusKind = StatusKind.HTTP
    uri: str = "/"
    headers: tuple[Header, ...] = field(default=(), repr=False)
    ok: StatusCodes = OK
    port: int | None = None
    interval: float | None = None
    successes: int = 1


@dataclass(frozen=True)
class HealthSpec:
    """How versions are checked.  Times are in seconds.

    A version is ready when its probes succeed.  It is removed if that takes longer than ``ready_timeout``.  Then it is
    checked every ``interval`` (0: never), and replaced after ``failures`` failed checks in a row.
    """

    ready_timeout: float
    interval: float
    failures: int
    probe: ProbeSpec = field(default_factory=ProbeSpec)

    @property
    def least_time(self) -> float:
        """How long it takes at least from the first success until a version is ready."""
        if self.probe.kind is StatusKind.NONE:
            return RUNS_FOR
        interval = CONFIRM_INTERVAL if self.probe.interval is None else self.probe.interval
        return (self.probe.successes - 1) * interval
