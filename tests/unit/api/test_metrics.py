"""The metrics, as Prometheus' own library reads them."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hanoverd.api.metrics import exposition
from hanoverd.api.status import AppStatus, LiveStatus
from hanoverd.history.record import KINDS, OUTCOMES
from hanoverd.logs.tally import Tally
from tests.unit.logs.test_tally import handover

LIVE = LiveStatus("web-3", 3, "live", "app:1", "sha256:1", "build .", "", "", 5.0, address="172.17.0.2", since=6.0)


def status(live: LiveStatus | None = LIVE) -> AppStatus:
    return AppStatus("web", "live", live, (), (), None, True, (), 0, (), 2, 77, "1.0")


def samples(tally: Tally, live: LiveStatus | None = LIVE, **connections: int | None) -> dict[tuple[str, ...], float]:
    """The values by the name of the metric and the values of its labels, which are in the order of their names."""
    text = exposition(tally, status(live), connections).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.startswith("process_")
    }


def test_every_metric_has_its_name_and_labels() -> None:
    tally = Tally()
    tally(handover("live", took=2.0, ready=0.3))
    tally.connections_cut, tally.restarts, tally.probe_failures = 1, 3, 4
    found = samples(tally, live=LIVE, draining=5)
    assert found[("hanoverd_handovers_total", "web", "live", "signal")] == 1
    assert found[("hanoverd_live_info", "web", "3", "app:1", "sha256:1")] == 1
    assert found[("hanoverd_build_info", "web", "1.0")] == 1
    assert found[("hanoverd_paused", "web")] == 1
    assert found[("hanoverd_connections", "web", "draining")] == 5
    assert found[("hanoverd_connections_cut_total", "web")] == 1
    assert found[("hanoverd_rules_repaired_total", "web")] == 2
    assert found[("hanoverd_restarts_total", "web")] == 3
    assert found[("hanoverd_probe_failures_total", "web")] == 4
    assert found[("hanoverd_last_success_timestamp_seconds", "web")] == 1000
    durations = "hanoverd_handover_duration_seconds"
    assert found[(f"{durations}_sum", "web", "ready")] == 0.3
    assert found[(f"{durations}_count", "web", "total")] == 1
    buckets = [found[(f"{durations}_bucket", "web", bound, "total")] for bound in ("1.0", "2.5", "1800.0", "+Inf")]
    assert buckets == [0, 1, 1, 1]


def test_what_is_not_known_has_no_value() -> None:
    names = {name for name, *_ in samples(Tally(), None, draining=None)}
    assert names == {
        *(f"hanoverd_{name}_total" for name in ("connections_cut", "rules_repaired", "restarts", "probe_failures")),
        "hanoverd_handovers_total",
        *(f"hanoverd_handover_duration_seconds_{name}" for name in ("bucket", "count", "sum")),
        "hanoverd_build_info",
        "hanoverd_paused",
    }


def test_each_count_is_there_before_something_is_counted() -> None:
    found = samples(Tally())
    assert found[("hanoverd_handover_duration_seconds_count", "web", "ready")] == 0
    assert found[("hanoverd_handovers_total", "web", "failed", "hookbot")] == 0
    assert sum(name == "hanoverd_handovers_total" for name, *_ in found) == len(OUTCOMES) * len(KINDS)


def test_the_process_is_measured_with_the_name_of_its_app() -> None:
    assert b'\nprocess_resident_memory_bytes{app="web"} ' in exposition(Tally(), status(), {})
