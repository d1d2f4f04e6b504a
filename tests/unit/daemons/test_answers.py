"""What daemons answer is checked: each is complete, or an error of its own app."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.api.status import AppStatus, LiveStatus, VersionStatus
from hanoverd.daemons.answers import connections_of, handovers_of, status_of
from hanoverd.history.record import Origin, Record

VERSION = VersionStatus("web-1", 1, "kept", "web:1", "sha256:1", "build .", "", "", 5.0)
LIVE = LiveStatus("web-2", 2, "live", "web:1", "sha256:1", "build .", "", "", 5.0, address="172.17.0.2", since=6.0)
RECORD = Record(1, "SIGHUP", 5.0, "web", [Origin("signal")], phases=[("obtain", 0.5)])
PORT = {"host_ip": "0.0.0.0", "host_port": 80, "container_ip": "172.17.0.2", "container_port": 80, "protocol": "tcp"}
STATUS = AppStatus(
    "web", "live", LIVE, (PORT,), ("web-1",), RECORD.json(), False, (), 0, (VERSION,), 0, 7, "1.0"
).json()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATUS, "x"]), inner, max_size=4),
)


def as_sent(value: Any) -> Any:
    """JSON knows no tuples."""
    if isinstance(value, dict):
        return {key: as_sent(one) for key, one in value.items()}
    return [as_sent(one) for one in value] if isinstance(value, (list, tuple)) else value


def test_what_this_hanoverd_sends_is_taken_as_it_is() -> None:
    sent = as_sent(STATUS)
    assert status_of(sent, "web") == sent
    record = as_sent(RECORD.json())
    assert handovers_of([record, record]) == (record, record)


def test_an_older_hanoverd_sends_fewer_keys() -> None:
    sent = as_sent(STATUS)
    older = {key: value for key, value in sent.items() if key not in ("repairs", "held_count", "hanoverd")}
    del older["live"]["revision"], older["handover"]["drained"], older["kept"][0]["rollback_to"]
    found = status_of(older, "web")
    assert (found["repairs"], found["held_count"], found["hanoverd"]) == (0, 0, "")
    assert (found["live"]["revision"], found["handover"]["drained"], found["kept"][0]["rollback_to"]) == ("", [], "")


def test_a_newer_hanoverd_sends_more_keys() -> None:
    assert status_of({**as_sent(STATUS), "new": 1}, "web")["new"] == 1


@pytest.mark.parametrize(
    "key", ["state", "live", "ports", "draining", "handover", "paused", "held", "held_count", "kept"]
)
def test_a_value_of_another_type_is_an_error(key: str) -> None:
    with pytest.raises(ValueError, match=key):
        status_of({**as_sent(STATUS), key: 0.5}, "web")


def test_the_status_of_another_app_is_an_error() -> None:
    with pytest.raises(ValueError, match="another app"):
        status_of(as_sent(STATUS), "shop")


@given(JSON)
def test_any_other_answer_is_an_error_or_complete(answer: Any) -> None:
    try:
        found = status_of(answer, "web")
    except ValueError:
        pass
    else:
        assert set(STATUS) <= set(found)
    try:
        handovers = handovers_of([answer])
    except ValueError:
        pass
    else:
        assert all(set(RECORD.json()) <= set(one) for one in handovers)


def test_the_connections_are_read_from_the_metrics() -> None:
    text = (
        "# HELP hanoverd_connections Open\n# TYPE hanoverd_connections gauge\n"
        'hanoverd_connections{app="web",role="live"} 7.0\nhanoverd_connections{app="web",role="draining"} 12\n'
        'hanoverd_connections_cut_total{app="web"} 3.0\nhanoverd_connections{app="web",role="live"} NaN\n'
    )
    assert connections_of(text) == {"live": 7, "draining": 12}
    assert connections_of("") == {}
