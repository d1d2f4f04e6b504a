"""The dashboard of Grafana and the alert rules of Prometheus: they name metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from hanoverd.api.metrics import exposition
from hanoverd.logs.tally import Tally
from hanoverd.web.metrics import joined
from tests.unit.api.test_metrics import LIVE, status
from tests.unit.logs.test_tally import handover

PROJECT = Path(__file__).parents[2]
RULES = (PROJECT / "share" / "monitoring" / "hanoverd.rules.yml").read_text()
DASHBOARD: Any = json.loads((PROJECT / "share" / "monitoring" / "hanoverd.dashboard.json").read_text())
PAGE = (PROJECT / "docs" / "monitoring.rst").read_text()

#: A metric, or what belongs to one: its name.
_METRIC = re.compile(r"\b(?:hanoverd|process)_[a-z_]+\b")


def samples() -> dict[str, set[str]]:
    """All metrics with a value, each with the names of its labels; a daemon and ``hanoverd web`` together."""
    tally = Tally()
    tally(handover("live", took=2.0, ready=0.3))
    text = exposition(tally, status(LIVE), {"live": 1, "draining": 0}).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(joined({"web": text})):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def queries(node: Any = DASHBOARD) -> Iterator[str]:
    """The queries of the dashboard: of its panels, of its annotations and of its variables."""
    if isinstance(node, dict):
        yield from (node[key] for key in ("expr", "definition") if key in node)
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from queries(one)


def test_each_metric_of_the_rules_exists() -> None:
    expressions = re.findall(r"^ *expr: (.*)$", RULES, re.MULTILINE)
    assert len(expressions) == len(re.findall(r"- alert:", RULES)) == 5
    assert set(_METRIC.findall(" ".join(expressions))) <= samples().keys()


def test_each_metric_of_the_dashboard_exists() -> None:
    found = list(queries())
    assert len(found) > 20
    assert set(_METRIC.findall(" ".join(found))) <= samples().keys()


def test_each_label_of_the_dashboard_exists() -> None:
    known = {"job", "instance"}.union(*samples().values())
    grouped = {
        label
        for query in queries()
        for group in re.findall(r"(?:by|on) \(([^)]*)\)", query)
        for label in group.split(", ")
    }
    selected = {label for query in queries() for label in re.findall(r'([a-z_]+)(?:=|!=|=~|!~)"', query)}
    assert grouped | selected <= known
    assert {"phase", "result", "trigger", "role"} <= grouped | selected


def test_each_metric_but_those_of_the_process_is_on_the_dashboard_and_documented() -> None:
    shown = " ".join(queries())
    for name in samples():
        if not name.startswith("process_"):
            assert name in shown or f"{name}_bucket" in shown, name
            assert re.sub("_(bucket|sum|count)$", "", name) in PAGE, name


def test_each_alert_says_what_to_do_and_is_documented() -> None:
    for alert in RULES.split("- alert: ")[1:]:
        name, *lines = alert.splitlines()
        text = " ".join(line.strip() for line in lines)
        assert re.search(r'summary: "[^"]*\{\{ \$labels\.app \}\}', text), name
        assert "`hanoverd " in text.partition("description: ")[2], name
        assert f"``{name}``" in PAGE, name


def test_panels_have_titles_descriptions_and_places_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & places, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        places |= cells
        assert panel["title"]
        assert panel["type"] == "row" or (panel["description"] and panel["targets"])
