"""The metrics of all apps in one text, whatever one of the daemons writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hanoverd.api.metrics import exposition
from hanoverd.api.status import AppStatus, LiveStatus
from hanoverd.logs.tally import Tally
from hanoverd.web.metrics import MOST_CHARACTERS, joined
from tests.unit.logs.test_tally import handover


def daemon(app: str) -> str:
    """What the daemon of an app answers, after a handover."""
    live = LiveStatus(
        f"{app}-3", 3, "live", 'app:"1\\', "sha256:1", "build .", "", "", 5.0, address="172.17.0.2", since=6.0
    )
    tally = Tally()
    tally(handover("live", took=2.0, ready=0.3))
    status = AppStatus(app, "live", live, (), (), None, False, (), 0, (), 0, 77, "1.0")
    return exposition(tally, status, {"live": 5, "draining": None}).decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    """The values by the name of the metric and the values of its labels, which are in the order of their names.

    Each family is there once, and no value twice.
    """
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    found = [((sample.name, *sample.labels.values()), sample.value) for family in families for sample in family.samples]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_the_metrics_of_all_apps_are_there() -> None:
    found = values(joined({"web": daemon("web"), "shop": daemon("shop")}))
    for app in ("shop", "web"):
        assert found[("hanoverd_app_up", app)] == 1
        assert found[("hanoverd_handovers_total", app, "live", "signal")] == 1
        assert found[("hanoverd_live_info", app, "3", 'app:"1\\', "sha256:1")] == 1
        assert found[("hanoverd_handover_duration_seconds_bucket", app, "2.5", "total")] == 1
        assert found[("process_resident_memory_bytes", app)] > 0


def test_each_metric_is_described_once_as_its_daemon_describes_it() -> None:
    described = [line for line in joined({"web": daemon("web"), "shop": daemon("shop")}).splitlines() if line[0] == "#"]
    assert len(set(described)) == len(described)
    assert {line for line in described if "hanoverd_app_up" not in line} == {
        line for line in daemon("web").splitlines() if line[0] == "#"
    }


def test_this_process_is_measured_too() -> None:
    assert values(joined({}))[("process_resident_memory_bytes",)] > 0


def test_an_app_that_did_not_answer_is_down() -> None:
    found = values(joined({"web": daemon("web"), "shop": None}))
    assert (found[("hanoverd_app_up", "web")], found[("hanoverd_app_up", "shop")]) == (1, 0)


def test_a_daemon_speaks_for_its_own_app_only() -> None:
    cut = "hanoverd_connections_cut_total"
    other = daemon("web").replace(f'{cut}{{app="web"}} 0.0', f'{cut}{{app="web"}} 7.0')
    found = values(joined({"web": daemon("web"), "shop": other}))
    assert (found[(cut, "web")], found[(cut, "shop")]) == (0, 7)


def test_other_metrics_and_times_are_left_out() -> None:
    text = "up 0\n# TYPE hanoverd_app_up gauge\nhanoverd_app_up 0\nnode_load1 9\n# TYPE hanoverd_connections gauge\n"
    found = values(joined({"web": f'{text}hanoverd_connections{{role="live"}} 7 1000\n'}))
    assert {name for name in found if not name[0].startswith("process_")} == {
        ("hanoverd_app_up", "web"),
        ("hanoverd_connections", "web", "live"),
    }
    assert " 7 1000" not in joined({"web": f'{text}hanoverd_connections{{role="live"}} 7 1000\n'})


GAUGE = "# TYPE hanoverd_connections gauge\nhanoverd_connections"
BROKEN = {
    "not metrics": "<html>404</html>",
    "no value": f"{GAUGE} \n",
    "a value twice": f'{GAUGE}{{role="live"}} 1\nhanoverd_connections{{role="live"}} 2\n',
    "a value twice with the name of the app": f'{GAUGE}{{app="a"}} 1\nhanoverd_connections{{app="b"}} 2\n',
    "another kind": "# TYPE hanoverd_connections counter\nhanoverd_connections 1\n",
    "a huge number": f"{GAUGE} {'9' * 4000}\n",
    "not a number": f"{GAUGE} NaN\n",
    "infinity": f"{GAUGE} +Inf\n",
    "a label of Prometheus' own": f'{GAUGE}{{__address__="x"}} 1\n',
    "a label that is not a name": f'{GAUGE}{{"a b"="x"}} 1\n',
    "a control character": f'{GAUGE}{{role="\x00"}} 1\n',
    "half a character": f'{GAUGE}{{role="\ud800"}} 1\n',
    "a long line": f'{GAUGE}{{role="{"x" * 5000}"}} 1\n',
    "too many values": GAUGE.partition("\n")[0] + "".join(f'\nhanoverd_connections{{n="{n}"}} 1' for n in range(2001)),
    "too long": "#\n" * (MOST_CHARACTERS // 2 + 1),
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_text_that_cannot_be_used_loses_the_metrics_of_its_daemon_only(text: str) -> None:
    without = values(joined({"shop": None, "web": daemon("web")}))
    found = values(joined({"shop": text, "web": daemon("web")}))
    assert found.keys() == without.keys()
    assert found[("hanoverd_app_up", "shop")] == 0


LINES = st.lists(
    st.sampled_from([*daemon("web").splitlines(), *"".join(BROKEN.values()).splitlines()[:40], *'#{}"\\, =\t1'])
    | st.text(max_size=20)
)


@given(LINES, st.sampled_from(["", "\n", " "]))
def test_any_text_leaves_the_other_apps_alone(lines: list[str], between: str) -> None:
    without = values(joined({"shop": None, "web": daemon("web")}))
    found = values(joined({"shop": between.join(lines), "web": daemon("web")}))
    assert {name for name in without if "web" in name} == {
        name for name in found if "web" in name and "shop" not in name
    }
