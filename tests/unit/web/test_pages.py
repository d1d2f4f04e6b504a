"""The pages as HTML."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hanoverd.web
from hanoverd.daemons.answers import handovers_of, status_of
from hanoverd.web.assets import assets
from hanoverd.web.pages import Pages
from hanoverd.web.query import AppQuery
from hanoverd.web.state import AppState, HostState
from tests.fakes.app_reports import (
    CHROME,
    READ_ONLY,
    busy,
    failed,
    handover,
    live_version,
    many_handovers,
    state,
    status,
    version,
)
from tests.unit.web.html import Element, parse

PAGES = Pages()

TEMPLATES = Path(hanoverd.web.__file__).parent / "templates"

HOSTILE = "</pre><script>alert(1)</script>\x1b[2J\u202e\"'onerror=x\r&amp;"
SEEN = "</pre><script>alert(1)</script>\\x1b[2J\\u202e\"'onerror=x\\r&amp;"


def index(*apps: AppState, problems: tuple[str, ...] = ()) -> Element:
    """Return the page of these apps."""
    return parse(PAGES.index(HostState(apps, problems), CHROME))


def page(found: AppState, **options: object) -> Element:
    """Return the page of an app."""
    chrome = replace(CHROME, **options)  # type: ignore[arg-type]  # whatever a test needs
    return parse(PAGES.app(found, chrome))


def hostile() -> AppState:
    """Return an app all of whose texts are hostile, but its name."""
    made = {"image": HOSTILE, "image_id": HOSTILE, "source": HOSTILE, "revision": HOSTILE, "rollback_to": HOSTILE}
    change = {"place": HOSTILE, "live": HOSTILE, "next": [HOSTILE]}
    record = handover(
        7,
        "failed",
        **made,
        why=f"{HOSTILE}\n    {HOSTILE}",
        trigger=HOSTILE,
        asked_by=[{"user": HOSTILE, "uid": 1}],
        version=HOSTILE,
        old=HOSTILE,
        changes=[change],
        phases=[{"phase": HOSTILE, "seconds": 1.0}],
        drained=[{"version": HOSTILE, "seconds": 1.0, "finished": 1, "cut": 1}],
    )
    found = status(
        live=live_version(4, **{**made, "version": HOSTILE}),
        kept=[version(3, **{**made, "version": HOSTILE})],
        handover=record,
        draining=[HOSTILE],
        paused=True,
        held=[HOSTILE],
        ports=[{"host_ip": HOSTILE, "host_port": 1, "container_port": 2, "protocol": HOSTILE}],
        hanoverd=HOSTILE,
    )
    running = {**record, "id": 8, "outcome": "under way"}
    return AppState("web", found, (record, running), (HOSTILE, HOSTILE), HOSTILE)


@pytest.mark.parametrize("made", ["index", "app", "login", "error"])
def test_no_text_of_an_app_becomes_markup_or_a_control_character(made: str) -> None:
    app = hostile()
    running = replace(app, status={**(app.status or {}), "handover": app.handovers[1]})
    texts = {
        "index": lambda: [PAGES.index(HostState((app, replace(running, app="b")), (HOSTILE,)), CHROME)],
        "app": lambda: [
            PAGES.app(app, CHROME),
            PAGES.app(running, replace(CHROME, message=HOSTILE, host=HOSTILE)),
        ],
        "login": lambda: [PAGES.login(CHROME, HOSTILE)],
        "error": lambda: [PAGES.error(404, HOSTILE, CHROME)],
    }[made]()
    for text in texts:
        check_hostile(text)


#: What a key can have that another program writes, by the type of the value in its place.
VALUES: dict[type, tuple[Any, ...]] = {
    str: ("", "x" * 2000, HOSTILE, "\n\n", "sha256:"),
    int: (0, -1, 10**14, None),
    float: (0.0, -1e14, 1e14, 1e-9, None),
    bool: (True, False),
    list: ([], [HOSTILE], [{}], [{"a": HOSTILE}]),
    type(None): (None, -1, 10**14, [{}], {}),
}


def strange(report: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return reports that differ from this one in some values."""
    changed = {key: st.sampled_from(VALUES.get(type(value), (None,))) for key, value in report.items()}
    return st.fixed_dictionaries({}, optional=changed).map(lambda found: report | found)


@given(strange(status()), strange(live_version(4)), strange(version(3)), strange(handover(7, "failed")))
def test_every_answer_of_a_daemon_that_is_accepted_can_be_shown(
    answer: dict[str, Any], live: dict[str, Any], kept: dict[str, Any], record: dict[str, Any]
) -> None:
    try:
        found = status_of(answer | {"app": "web", "live": live, "kept": [kept], "handover": record}, "web")
        records = handovers_of([handover(6), record])
    except ValueError:
        return
    app = AppState("web", found, records)
    # Such a daemon may give two versions the same number.
    parse(PAGES.index(HostState((app,)), CHROME), can_repeat_ids=True)
    parse(PAGES.app(app, CHROME), can_repeat_ids=True)


def check_hostile(text: str) -> None:
    """Check that a page shows the hostile texts, and is not changed by them."""
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)
    assert re.findall("<script.*?>", text) == re.findall(
        '<script src="/static/(?:live|log).js[?]v=[0-9a-f]{16}" defer>', text
    )
    assert not re.search("<[^>]*[\"' ]onerror", text)
    assert SEEN in parse(text).text


def test_the_templates_switch_no_escaping_off_and_have_no_inline_script_or_style() -> None:
    templates = sorted(TEMPLATES.iterdir())
    assert len(templates) > 5
    for name in templates:
        source = name.read_text()
        assert not re.search(r"\|\s*safe|autoescape|Markup", source), name
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=|javascript:|https?:", source), name


@pytest.mark.parametrize("found", [state(), busy(), failed(), AppState("web", None), many_handovers(500), hostile()])
def test_each_page_has_its_landmarks_and_headings_in_order(found: AppState) -> None:
    for root in (index(found, problems=("a problem",)), page(found)):
        assert root.one("html").attributes["lang"] == "en"
        for landmark in ("main", "header", "h1", "title"):
            root.one(landmark)
        levels = [int(one.name[1]) for one in root.all() if re.fullmatch("h[1-6]", one.name)]
        assert levels[0] == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))
        assert [one.attributes["href"] for one in root.all("a", **{"class": "skip"})] == ["#main"]


def test_everything_that_changes_is_in_a_part_that_is_kept_current() -> None:
    before, after = state(), busy()
    for kept in (index(before), page(before)):
        for part in kept.all(**{"data-live": ""}):
            assert part.attributes["id"]
    outside = [without_live_parts(page(found)) for found in (before, after, failed(), state(paused=True))]
    assert all(one == outside[0] for one in outside)


def without_live_parts(root: Element) -> str:
    """Return the text outside of the parts that are kept current, and outside of the title."""
    return "".join(
        child.own_text + without_live_parts(child)
        for child in root.children
        if "data-live" not in child.attributes and child.name != "title"
    ).strip()


def test_every_form_sends_the_token_back() -> None:
    for root in (page(busy()), page(state(paused=True), can_log_out=True), parse(PAGES.login(CHROME, ""))):
        assert root.all("form")
        for form in root.all("form"):
            assert form.attributes["method"] == "post"
            assert form.one("input", name="csrf").attributes["value"] == CHROME.csrf


def test_without_actions_there_is_no_form() -> None:
    assert "<form" not in PAGES.app(busy(), READ_ONLY)
    assert "<form" not in PAGES.index(HostState((busy(),)), READ_ONLY)


def test_the_actions_are_those_that_make_sense() -> None:
    def verbs(found: AppState) -> list[str]:
        return [one.attributes["action"] for one in page(found).all("form")]

    assert verbs(state()) == [f"/apps/web/{verb}" for verb in ("deploy", "cancel", "pause", "rollback")]
    assert "/apps/web/resume" in verbs(state(paused=True))
    assert "/apps/web/rollback" not in verbs(state(kept=[]))


def test_only_a_handover_in_progress_can_be_cancelled() -> None:
    def cancel(found: AppState) -> Element:
        return page(found).one("form", action="/apps/web/cancel").one("button")

    assert "disabled" in cancel(state()).attributes
    assert "disabled" not in cancel(busy()).attributes


def test_a_rollback_is_a_second_step_and_goes_to_the_version_before_unless_another_is_chosen() -> None:
    panel = page(state()).one("details", id="rollback")
    assert "open" not in panel.attributes
    choices = panel.all("input", name="version")
    assert [one.attributes["value"] for one in choices] == ["3", "2"]
    assert ["checked" in one.attributes for one in choices] == [True, False]
    assert all("required" in one.attributes for one in choices)
    assert len(panel.all("button")) == 1


def test_times_are_right_without_javascript() -> None:
    [found] = index(state()).all("time")
    assert found.attributes["datetime"] == "2026-11-28T20:00:00Z"
    assert found.text == "2 hours"


def test_the_phase_in_progress_is_marked_and_has_its_time() -> None:
    step = page(busy()).one("section", id="overview").one("li", **{"aria-current": "step"})
    assert step.text == "start 4s so far"


def test_a_failed_handover_is_on_the_page_of_all_apps_with_its_last_lines() -> None:
    row = index(failed()).one("li", id="app-web")
    assert "The handover to web-5 failed 10 minutes ago" in row.text
    assert "KeyError: 'DATABASE_URL'" in row.one("pre").text


def test_the_history_shows_each_handover_with_its_phases_as_text_too() -> None:
    rows = page(failed()).one("section", id="history")
    newest = rows.one("li", id="handover-5")
    assert "Failed web-5" in newest.one("summary").text
    assert "wait until ready" in newest.one("li", **{"class": "failed ready"}).text
    assert [one.attributes["class"] for one in newest.one("svg", **{"class": "bar"}).all("rect")][-1] == "failed ready"


def test_the_message_is_shown_once_and_an_error_is_an_alert() -> None:
    root = page(state(), message="A handover was started.")
    assert root.one("p", **{"class": "message good"}).attributes["role"] == "status"
    root = page(state(), message="Refused.", is_error=True)
    assert root.one("p", **{"class": "message bad"}).attributes["role"] == "alert"


def test_a_host_without_apps_says_how_to_start_one() -> None:
    root = index()
    assert "No hanoverd runs on this host." in root.text
    assert "hanoverd --name web" in root.text


def test_the_title_says_that_an_app_needs_attention_and_on_which_host() -> None:
    assert index(state(), failed("shop")).one("title").text == "(1) Apps: hanoverd on node7"
    assert page(failed()).one("title").text == "(!) web: hanoverd on node7"


def test_the_log_is_there_without_javascript() -> None:
    log = page(replace(state(), log=("web-4  | listening", "<b>"))).one("div", id="log")
    assert [one.text for one in log.all("div")] == ["web-4 | listening", "<b>"]
    assert log.attributes["data-source"] == "/apps/web/logs"


def test_thirty_apps_and_five_hundred_handovers_are_made_in_no_time() -> None:
    apps = HostState(tuple(many_handovers(500, f"app-{number:02}") for number in range(30)))
    began = time.process_time()
    everything = PAGES.index(apps, CHROME), PAGES.app(apps.apps[0], CHROME, AppQuery(before=300))
    assert time.process_time() - began < 1.0
    assert all(len(text) < 150_000 for text in everything)


def test_every_file_of_the_page_has_a_url_that_changes_with_it() -> None:
    text = PAGES.index(HostState(), CHROME)
    for name in ("style.css", "live.js", "icon.svg"):
        assert assets()[name].url in text
        assert len(assets()[name].version) == 16
    assert {one.content_type.partition(";")[0] for one in assets().values()} == {
        "text/css",
        "text/javascript",
        "image/svg+xml",
    }
