"""Prometheus itself reads the metrics, evaluates the alert rules, and parses the queries of the dashboard."""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.asking import ask, eventually, eventually_equal
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import ARGUMENTS, Commands
from tests.lab.api import call
from tests.lab.daemon import PROJECT, Daemon, environment
from tests.lab.host import Lab
from tests.lab.images import write_app
from tests.prometheus import folder
from tests.unit.test_monitoring import queries

RULES = PROJECT / "share" / "monitoring" / "hanoverd.rules.yml"
RULE_TESTS = Path(__file__).with_name("hanoverd.rules.test.yml")
PORT, PAGE_PORT = 9099, 9098

CONFIGURATION = f"""\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{RULES}]
scrape_configs:
  - job_name: hanoverd
    static_configs: [{{targets: ["127.0.0.1:{PAGE_PORT}"]}}]
"""


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder with Prometheus and promtool."""
    return folder()


def promtool(programs: Path, *arguments: str, text: str = "") -> str:
    """Run promtool, which must find nothing wrong; return its output."""
    done = subprocess.run(
        [str(programs / "promtool"), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


class Prometheus:
    """A server of Prometheus on the lab's host."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    def get(self, path: str) -> Any:
        """Return the data of an answer of the API."""
        answer = json.loads(ask(self._lab.in_host, f"http://127.0.0.1:{PORT}/api/v1/{path}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def values(self, query: str, label: str) -> dict[str, float]:
        """Return the values of a query by the value of a label."""
        found = self.get(f"query?query={quote(query)}")["result"]
        return {one["metric"].get(label, ""): float(one["value"][1]) for one in found}

    def is_scraping(self) -> bool:
        """Whether it runs, and reads metrics."""
        try:
            return self.values("hanoverd_app_up", "app") == {"web": 1}
        except ConnectionError:
            return False

    def wait_values(self, query: str, label: str, expected: Mapping[str, float]) -> None:
        """Wait until these are the values of a query."""
        eventually_equal(lambda: self.values(query, label), dict(expected))

    def wait_alert(self, name: str) -> dict[str, Any]:
        """Return an alert as soon as there is one of this name."""
        eventually(lambda: name in self.alerts())
        return self.alerts()[name]

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return the alerts that fire, or will if it goes on, by their names."""
        return {alert["labels"]["alertname"]: alert for alert in self.get("alerts")["alerts"]}


@contextmanager
def running(command: Sequence[str], lab: Lab) -> Iterator[subprocess.Popen[str]]:
    """Run a program on the lab's host."""
    with subprocess.Popen(
        lab.in_host(command),
        env=environment(lab),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as program:
        try:
            yield program
        finally:
            program.terminate()
            program.communicate(timeout=30)


@contextmanager
def scraping(lab: Lab, programs: Path, tmp_path: Path) -> Iterator[Prometheus]:
    """Have Prometheus scrape the app ``web``."""
    configuration = tmp_path / "prometheus.yml"
    configuration.write_text(CONFIGURATION)
    arguments = {
        "config.file": configuration,
        "storage.tsdb.path": tmp_path / "data",
        "web.listen-address": f"127.0.0.1:{PORT}",
        "log.level": "warn",
    }
    command = [str(programs / "prometheus"), *(f"--{name}={value}" for name, value in arguments.items())]
    with Daemon(lab, ["web", f"--bind=127.0.0.1:{PAGE_PORT}"], "/") as page:
        page.wait_event("page_serving")
        with running(command, lab):
            prometheus = Prometheus(lab)
            eventually(prometheus.is_scraping)
            yield prometheus


def check_exposition(lab: Lab, programs: Path) -> None:
    """Promtool accepts the metrics of a daemon, and those of all apps."""
    status, body = call(str(lab.runtime / "web.sock"), "GET", "/metrics")
    assert status == 200
    both = ask(lab.in_host, f"http://127.0.0.1:{PAGE_PORT}/metrics")
    for text in (body.decode(), both):
        assert "hanoverd_handovers_total{" in text
        assert promtool(programs, "check", "metrics", text=text) == ""


def check_alert(alert: dict[str, Any], state: str) -> None:
    """An alert is in this state, and its texts are complete."""
    assert alert["state"] == state
    for text in alert["annotations"].values():
        assert "web" in text
        assert "{{" not in text
        assert "<" not in text


def test_prometheus_scrapes_a_handover_and_fires_an_alert(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon, programs: Path
) -> None:
    commands = Commands(lab)
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        with scraping(lab, programs, tmp_path) as prometheus:
            assert prometheus.values("hanoverd_live_info", "generation") == {"0": 1}
            hanoverd.hup()
            hanoverd.wait_live("web-1")
            prometheus.wait_values("hanoverd_live_info", "generation", {"1": 1})
            write_app(app_folder, env={"EXIT": "3"})
            commands.end("deploy", "web", "--wait")
            records = commands.history()
            counted = Counter(one["outcome"] for one in records)
            assert counted == {"live": 2, "failed": 1}
            query = "sum by (result) (hanoverd_handovers_total)"
            prometheus.wait_values(query, "result", {**counted, "cancelled": 0, "unchanged": 0})
            query = 'hanoverd_handover_duration_seconds_count{phase="total"}'
            assert prometheus.values(query, "app") == {"web": 3}
            assert prometheus.values("process_resident_memory_bytes > 1e7", "app").keys() == {"web", ""}
            [live] = [one for one in records if one["version"] == "web-1"]
            assert prometheus.values("hanoverd_last_success_timestamp_seconds", "app")["web"] == pytest.approx(
                live["began"] + live["took"], abs=1
            )
            check_exposition(lab, programs)
            check_alert(prometheus.wait_alert("HanoverdHandoverFailed"), "firing")
            assert prometheus.alerts().keys() == {"HanoverdHandoverFailed"}
            hanoverd.kill()
            prometheus.wait_values("hanoverd_app_up", "app", {"web": 0})
            check_alert(prometheus.wait_alert("HanoverdNotAnswering"), "pending")
            commands("stop", "web")


def test_the_alert_rules_fire_when_they_should(programs: Path) -> None:
    assert "5 rules found" in promtool(programs, "check", "rules", str(RULES))
    assert "SUCCESS" in promtool(programs, "test", "rules", str(RULE_TESTS))


def test_prometheus_parses_each_query_of_the_dashboard(programs: Path, tmp_path: Path) -> None:
    found = [re.sub(r"label_values\((.*), \w+\)", r"\1", query) for query in queries()]
    # What Grafana puts in.
    texts = [query.replace("$__rate_interval", "5m").replace("$__range", "24h") for query in found]
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(texts)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool(programs, "check", "rules", str(file))
