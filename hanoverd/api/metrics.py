"""The metrics of an app for Prometheus (with prometheus-client: the only module that imports it)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from hanoverd.api.status import AppStatus
from hanoverd.logs.tally import BOUNDS, Durations, Tally

#: The type of the content, for HTTP.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(tally: Tally, status: AppStatus, connections: Mapping[str, int | None]) -> bytes:
    """Return the metrics in Prometheus' text format.

    ``connections`` are the open connections of the versions, by ``live`` and ``draining``; None where they are not known.
    """
    registry = CollectorRegistry()
    registry.register(_App(tally, status, connections))
    ProcessCollector(registry=registry)
    text: bytes = generate_latest(registry)
    return text


class _App(Collector):
    """Makes the metrics when they are asked for."""

    def __init__(self, tally: Tally, status: AppStatus, connections: Mapping[str, int | None]) -> None:
        self._tally = tally
        self._status = status
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        app, tally = self._status.app, self._tally
        yield self._handovers()
        yield self._durations()
        yield self._live()
        yield self._open()
        for name, text, value in (
            (
                "connections_cut",
                "Connections that were still open when their version was stopped.",
                tally.connections_cut,
            ),
            ("rules_repaired", "Changes of the firewall by other programs that were repaired.", tally.repairs),
            ("restarts", "Restarts of live versions that exited or were unhealthy.", tally.restarts),
            ("probe_failures", "Liveness checks of live versions that failed (--watch).", tally.probe_failures),
        ):
            counter = CounterMetricFamily(f"hanoverd_{name}", text, labels=["app"])
            counter.add_metric([app], value)
            yield counter
        success = GaugeMetricFamily(
            "hanoverd_last_success_timestamp_seconds", "When a version last went live, as a Unix time.", labels=["app"]
        )
        if tally.last_success is not None:
            success.add_metric([app], tally.last_success)
        yield success

    def _handovers(self) -> Metric:
        family = CounterMetricFamily(
            "hanoverd_handovers",
            "Handovers that have ended since hanoverd was started.",
            labels=["app", "result", "trigger"],
        )
        for (result, trigger), count in sorted(self._tally.handovers.items()):
            family.add_metric([self._status.app, result, trigger], count)
        return family

    def _durations(self) -> Metric:
        family = HistogramMetricFamily(
            "hanoverd_handover_duration_seconds",
            'How long the phases of handovers took, and whole handovers (phase "total").',
            labels=["app", "phase"],
        )
        for phase, found in sorted(self._tally.phases.items()):
            family.add_metric([self._status.app, phase], buckets=_buckets(found), sum_value=found.sum)
        return family

    def _live(self) -> Metric:
        family = GaugeMetricFamily(
            "hanoverd_live_info", "The live version.", labels=["app", "generation", "image", "image_id"]
        )
        live = self._status.live
        if live is not None:
            family.add_metric([self._status.app, str(live.number), live.image, live.image_id], 1)
        return family

    def _open(self) -> Metric:
        family = GaugeMetricFamily(
            "hanoverd_connections",
            "Open TCP connections of the live version, and of the ones that drain.",
            labels=["app", "role"],
        )
        for role, count in sorted(self._connections.items()):
            if count is not None:
                family.add_metric([self._status.app, role], count)
        return family


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    """Return the cumulative counts, as Prometheus has them."""
    found, total = [], 0
    for bound, count in zip((*BOUNDS, float("inf")), durations.counts, strict=True):
        total += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), float(total)))
    return found
