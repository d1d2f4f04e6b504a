"""The metrics of an app for Prometheus (with prometheus-client, which this and ``hanoverd/web/metrics.py`` alone import)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hanoverd.api.status import AppStatus
from hanoverd.history.record import KINDS, OUTCOMES, PHASES
from hanoverd.logs.tally import BOUNDS, TOTAL, Durations, Tally

#: The type of the content, for HTTP.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Family:
    """A metric: its name, without the ``_total`` of a counter; its kind; what it is; its labels."""

    name: str
    kind: Callable[..., Metric]
    text: str
    labels: tuple[str, ...] = ("app",)


#: All metrics of an app, without its process.
FAMILIES = (
    Family(
        "hanoverd_handovers",
        CounterMetricFamily,
        "Handovers that have ended since hanoverd was started.",
        ("app", "result", "trigger"),
    ),
    Family(
        "hanoverd_handover_duration_seconds",
        HistogramMetricFamily,
        'How long the phases of handovers took, and whole handovers (phase "total").',
        ("app", "phase"),
    ),
    Family("hanoverd_build_info", GaugeMetricFamily, "The hanoverd of the app.", ("app", "version")),
    Family("hanoverd_paused", GaugeMetricFamily, "1 if triggers are held (`hanoverd pause`), else 0."),
    Family("hanoverd_live_info", GaugeMetricFamily, "The live version.", ("app", "generation", "image", "image_id")),
    Family(
        "hanoverd_connections",
        GaugeMetricFamily,
        "Open TCP connections of the live version, and of the ones that drain.",
        ("app", "role"),
    ),
    Family(
        "hanoverd_connections_cut",
        CounterMetricFamily,
        "Connections that were still open when their version was stopped.",
    ),
    Family(
        "hanoverd_rules_repaired",
        CounterMetricFamily,
        "Changes of the firewall by other programs that were repaired.",
    ),
    Family("hanoverd_restarts", CounterMetricFamily, "Restarts of live versions that exited or were unhealthy."),
    Family("hanoverd_probe_failures", CounterMetricFamily, "Liveness checks of live versions that failed (--watch)."),
    Family(
        "hanoverd_last_success_timestamp_seconds",
        GaugeMetricFamily,
        "When a version last went live, as a Unix time.",
    ),
)


def families() -> dict[str, Metric]:
    """Return all metrics by their names.

    The metrics of apps have no values yet. The metrics of a process have the values of this one, without the label ``app``.
    """
    ours = [family.kind(family.name, family.text, labels=family.labels) for family in FAMILIES]
    return {metric.name: metric for metric in (*ours, *ProcessCollector(registry=None).collect())}


class Collected(Collector):
    """Metrics whose values are known."""

    def __init__(self, metrics: Mapping[str, Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics that have values."""
        yield from (metric for metric in self._metrics.values() if metric.samples)


def exposition(tally: Tally, status: AppStatus, connections: Mapping[str, int | None]) -> bytes:
    """Return the metrics in Prometheus' text format.

    ``connections`` are the open connections of the versions, by ``live`` and ``draining``; None where they are not known.
    """
    # Each kind has its own ``add_metric``.
    found: dict[str, Any] = {**families()}

    def add(name: str, value: float, *labels: str) -> None:
        found[f"hanoverd_{name}"].add_metric([status.app, *labels], value)

    # All of them from the start, with 0: for Prometheus, a value that appears has not increased.
    for result, trigger in product(OUTCOMES, KINDS):
        add("handovers", tally.handovers[result, trigger], result, trigger)
    for phase in sorted({TOTAL, *PHASES, *tally.phases}):
        durations = tally.phases.get(phase, Durations())
        found["hanoverd_handover_duration_seconds"].add_metric(
            [status.app, phase], buckets=_buckets(durations), sum_value=durations.sum
        )
    add("build_info", 1, status.hanoverd)
    add("paused", status.paused)
    if status.live is not None:
        add("live_info", 1, str(status.live.number), status.live.image, status.live.image_id)
    for role, open_now in sorted(connections.items()):
        if open_now is not None:
            add("connections", open_now, role)
    add("connections_cut", tally.connections_cut)
    add("rules_repaired", status.repairs)
    add("restarts", tally.restarts)
    add("probe_failures", tally.probe_failures)
    if tally.last_success is not None:
        add("last_success_timestamp_seconds", tally.last_success)
    for name, metric in found.items():
        if name.startswith("process_"):
            metric.samples = [one._replace(labels={**one.labels, "app": status.app}) for one in metric.samples]
    return generate_latest(Collected(found))


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """Return the cumulative counts, as Prometheus has them."""
    found, total = [], 0
    for bound, count in zip((*BOUNDS, float("inf")), durations.counts, strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
    return found
