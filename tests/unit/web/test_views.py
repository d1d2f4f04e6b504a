"""What the page shows of apps at a glance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanoverd.web.ages import Moment, age
from hanoverd.web.state import AppState, HostState
from hanoverd.web.views import App, app_of, host_of
from tests.fakes.app_reports import NOW, busy, failed, state, version


def shown(found: AppState) -> App:
    """Return an app as it is shown."""
    return app_of(found, NOW)


def test_an_app_that_is_live_shows_its_version_and_since_when() -> None:
    app = shown(state())
    assert (app.tone, app.word, app.says) == ("good", "Live", "web: web-4 is live")
    assert app.live is not None
    assert (app.live.name, app.live.image_id, app.live.since.age) == ("web-4", "000000000000", "2 hours")
    assert app.ports == ("0.0.0.0:8080 → 80/tcp",)
    assert not app.needs_attention


def test_a_handover_in_progress_is_shown_with_its_phase() -> None:
    app = shown(busy())
    assert (app.tone, app.word) == ("busy", "Handing over")
    assert app.says == "web: web-4 is live, handing over to web-5: start"
    assert app.current is not None
    assert app.failure is None


def test_the_last_handover_if_it_failed_is_shown_with_its_last_lines() -> None:
    app = shown(failed())
    assert app.needs_attention
    assert app.says == "web: web-4 is live, the last handover failed"
    assert app.failure is not None
    assert app.failure.reason == "exited with code 3 before it was ready; its last 2 lines:"
    assert app.failure.output == ("Traceback:", "KeyError: 'DATABASE_URL'")


def test_an_app_without_a_live_version_needs_attention() -> None:
    app = shown(state(state="down", live=None))
    assert (app.tone, app.word, app.says) == ("bad", "Down", "web: no version is live")
    assert app.needs_attention


def test_a_daemon_that_does_not_answer_is_not_shown_as_live() -> None:
    app = shown(replace(state(), problem="connection refused"))
    assert (app.tone, app.word, app.needs_attention) == ("bad", "No answer", True)
    # What was known last is still there.
    assert app.live is not None


def test_an_app_whose_status_is_not_known_yet_is_no_problem() -> None:
    app = shown(AppState("web", None))
    assert (app.tone, app.word, app.needs_attention) == ("idle", "Unknown", False)


def test_a_state_of_a_newer_daemon_is_shown_as_it_is() -> None:
    app = shown(state(state="resting"))
    assert (app.tone, app.word) == ("idle", "resting")


def test_draining_versions_are_shown_with_their_connections_where_these_are_known() -> None:
    draining = state(draining=["web-2", "web-3"])
    assert shown(draining).draining == "web-2, web-3"
    counted = replace(draining, connections={"live": 1, "draining": 2})
    assert shown(counted).draining == "web-2, web-3 with 2 open connections"
    assert shown(counted).connections == "1 open connection"
    assert shown(replace(counted, connections={"draining": 0})).draining == "web-2, web-3 with 0 open connections"


def test_a_paused_app_shows_how_many_triggers_are_held() -> None:
    app = shown(state(paused=True, held=["SIGHUP"], held_count=3))
    assert app.is_paused
    assert (app.held, app.held_count) == (("SIGHUP",), 3)


def test_a_version_of_a_commit_says_so() -> None:
    made = version(3, source="build git@example.com:web", revision="0123456789abcdef0123456789abcdef01234567")
    assert shown(state(kept=[made])).kept[0].origin == "build git@example.com:web (0123456789ab)"
    digest = version(3, source="pull", revision="sha256:0123456789abcdef")
    assert shown(state(kept=[digest])).kept[0].origin == "pull (sha256:0123456789ab)"


def test_the_name_of_an_app_is_quoted_in_its_url() -> None:
    assert shown(AppState("a/../b?c#d", None)).url == "/apps/a%2F..%2Fb%3Fc%23d"


@pytest.mark.parametrize(
    ("apps", "summary"),
    [
        ([], "No hanoverd runs on this host."),
        ([state("a")], "The app is live."),
        ([state("a"), state("b")], "All 2 apps are live."),
        ([state("a"), state("b", state="down", live=None)], "1 of 2 apps is live."),
        ([state("a"), state("b"), replace(state("c"), problem="gone")], "2 of 3 apps are live."),
    ],
)
def test_the_summary_counts_the_apps_that_are_live(apps: list[AppState], summary: str) -> None:
    assert host_of(HostState(tuple(apps)), NOW).summary == summary


def test_the_apps_that_need_attention_are_named() -> None:
    host = host_of(HostState((state("a"), failed("b"), state("c", state="down", live=None))), NOW)
    assert [app.name for app in host.attention] == ["b", "c"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "less than a second"),
        (0.9, "less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "1 minute"),
        (7199, "1 hour"),
        (86400 * 400, "400 days"),
    ],
)
def test_an_age_is_written_in_its_greatest_unit(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_a_time_beyond_the_calendar_is_shown_as_its_end() -> None:
    assert Moment.of(1e18, NOW).iso == "9999-12-31T23:59:59Z"
    assert Moment.of(-1.0, NOW).iso == "1970-01-01T00:00:00Z"
