"""The metrics of all apps in one text for Prometheus.  Pure, except that it measures this process (with prometheus-client)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from math import isfinite

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hanoverd.api.metrics import CONTENT_TYPE, Collected, families

__all__ = ["CONTENT_TYPE", "MOST_CHARACTERS", "joined"]

#: The most characters of one daemon's metrics.  They have some 20,000.
MOST_CHARACTERS = 256 * 1024

#: The most characters of a line: the parser takes quadratic time for some lines.
_MOST_LINE = 4096

#: The most values of one daemon.  They have some 300.
_MOST_VALUES = 2000

#: A name that Prometheus does not keep for itself.
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")

#: Prometheus refuses a whole text for some of these.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class _Unusable(Exception):
    """A daemon's metrics cannot be used."""


def joined(expositions: Mapping[str, str | None]) -> str:
    """Return the metrics of all apps, and of this process, in Prometheus' text format.

    ``expositions`` are the texts of the daemons by the names of their apps; None for one that did not answer.  Each value gets
    the label ``app`` with this name; the values of this process have none.  Metrics that this version of hanoverd does not know are
    left out.  A daemon whose text cannot be used counts as one that did not answer: ``hanoverd_app_up`` is 0.
    """
    metrics = families()
    up = GaugeMetricFamily(
        "hanoverd_app_up", "1 if the hanoverd of the app answered with its metrics, else 0.", labels=["app"]
    )
    for app, text in sorted(expositions.items()):
        try:
            found = None if text is None else _samples(app, text, metrics)
        except Exception:  # noqa: BLE001
            # Whatever the parser raises for what another program wrote: the other apps are shown.
            found = None
        up.add_metric([app], found is not None)
        for name, sample in found or ():
            metrics[name].samples.append(sample)
    return generate_latest(Collected({up.name: up, **metrics})).decode()


def _samples(app: str, text: str, metrics: Mapping[str, Metric]) -> list[tuple[str, Sample]]:
    """Return the values of a daemon with the names of their metrics.  Raises any error if one of them cannot be used."""
    text.encode()  # Raises UnicodeEncodeError for half a character.
    if len(text) > MOST_CHARACTERS or max(map(len, text.split("\n"))) > _MOST_LINE or _CONTROL.search(text):
        raise _Unusable
    found: dict[tuple[str, frozenset[tuple[str, str]]], tuple[str, Sample]] = {}
    for metric in text_string_to_metric_families(text):
        known = metrics.get(metric.name)
        if known is None:
            continue
        if metric.type != known.type:
            raise _Unusable
        for sample in _with_app(app, metric):
            key = sample.name, frozenset(sample.labels.items())
            if key in found or len(found) == _MOST_VALUES:
                raise _Unusable
            found[key] = metric.name, sample
    return list(found.values())


def _with_app(app: str, metric: Metric) -> Iterator[Sample]:
    """Yield the values of a metric with the label ``app``, and without times."""
    for sample in metric.samples:
        value = float(sample.value)
        # A value that is no number would spoil all sums.
        if not isfinite(value) or not all(_LABEL.fullmatch(label) for label in sample.labels):
            raise _Unusable
        yield Sample(sample.name, {**sample.labels, "app": app}, value)
