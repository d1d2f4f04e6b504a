"""The page in real Chromium: what it shows, how it is kept current, and that everybody can use it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.integration.conftest import StartDaemon
from tests.lab.browser import PHONE, WITHIN_MS, Visit, accessibility_problems, chromium_of, overflow
from tests.lab.host import Lab
from tests.lab.images import write_app
from tests.lab.web import FakeApps, Web, fake_apps

expect.set_options(timeout=WITHIN_MS)

APPS, HANDOVERS = 30, 500
LOST = "Connection lost, trying again"
UP_TO_DATE = "Up to date"


@pytest.fixture(scope="module")
def browser(lab_of_the_run: Lab) -> Iterator[Browser]:
    """Chromium: one start for all tests."""
    with chromium_of(lab_of_the_run) as browser:
        yield browser


@pytest.fixture(scope="module")
def apps() -> Iterator[FakeApps]:
    """Thirty apps, with five hundred handovers each."""
    with fake_apps(APPS, HANDOVERS) as found:
        yield found


@pytest.fixture(scope="module")
def many(lab_of_the_run: Lab, apps: FakeApps) -> Iterator[Web]:
    """The page of the thirty apps, which shows all of them already."""
    with Web(lab_of_the_run, "--allow-actions", runtime=apps.runtime, bind="127.0.0.1:8901") as web:
        yield web


def is_shown(page: Page, text: str) -> None:
    """Wait until a text is on the page."""
    expect(page.locator("main")).to_contain_text(text)


def wait_for_all(page: Page) -> None:
    """Wait until each app is known."""
    expect(page.locator("#apps > li")).to_have_count(APPS)
    expect(page.locator("#apps").get_by_text("Unknown")).to_have_count(0)


def test_a_handover_is_followed_live_in_two_windows_from_click_to_rollback(
    lab: Lab, app_folder: Path, daemon: StartDaemon, browser: Browser
) -> None:
    options = ("-p", "8080:80", "--name", "web", "--drain-timeout", "1s")
    with (
        daemon(*options, cwd=app_folder) as hanoverd,
        Web(lab, "--allow-actions") as web,
        Visit(browser, web.url) as visit,
    ):
        hanoverd.wait_live("web-0")
        index = visit.open("/")
        expect(index.locator("#app-web")).to_contain_text("web-0")
        app = visit.open("/apps/web")
        for window in (index, app):
            window.evaluate("window.isLoadedOnce = true")
        deploy(index, app, app_folder)
        fail(index, app, app_folder)
        roll_back_by_keyboard(app)
        pause(index, app)
        cancel(app, app_folder)
        assert visit.complaints == []

        # The page's process is killed, and comes back: both windows go on by themselves.
        web.kill()
        for window in (index, app):
            expect(window.locator("#connection")).to_have_text(LOST)
        write_app(app_folder, version="6")
        hanoverd.hup()
        hanoverd.wait_live("web-5")
        with Web(lab, "--allow-actions"):
            for window in (index, app):
                expect(window.locator("#connection")).to_have_text(UP_TO_DATE)
                expect(window.locator("dd").first).to_have_text("web-5")
            expect(app.locator("#log")).to_contain_text("web-5: routed")
            # The forms are those of the new process.
            app.get_by_role("button", name="Pause").click()
            expect(index.locator("#app-web .state")).to_contain_text("Paused")
        assert index.evaluate("window.isLoadedOnce")


def deploy(index: Page, app: Page, app_folder: Path) -> None:
    """Deploy by a click: both windows follow, without being loaded again."""
    write_app(app_folder, version="2", env={"READY_AFTER": "1"})
    app.get_by_role("button", name="Deploy").click()
    expect(app.get_by_role("status").filter(has_text="a handover starts")).to_be_visible()
    is_shown(app, "Handing over to web-1")
    is_shown(index, "Handing over to web-1")
    expect(index.locator("#app-web .state")).to_have_text("Live")
    expect(index.locator("#app-web")).to_contain_text("web-1")
    expect(app.locator("#overview dd").first).to_have_text("web-1")
    expect(app.locator("#handover-2 .badge")).to_have_text("Live")
    expect(app.locator("#log")).to_contain_text("web-1: routed")
    expect(index.locator("#announcements")).to_contain_text("web-1 is live")
    assert index.evaluate("window.isLoadedOnce")


def fail(index: Page, app: Page, app_folder: Path) -> None:
    """Deploy a version that fails: both windows say why."""
    write_app(app_folder, env={"EXIT": "3"})
    app.get_by_role("button", name="Deploy").click()
    is_shown(index, "The handover to web-2 failed")
    is_shown(index, "exited with code 3")
    assert index.title().startswith("(1)")
    expect(app.locator(".failure")).to_contain_text("cannot continue: exiting with 3")


def roll_back_by_keyboard(app: Page) -> None:
    """Roll back in two steps."""
    confirm = app.get_by_role("button", name="Roll back now")
    app.locator("#rollback summary").focus()
    app.keyboard.press("Enter")
    expect(confirm).to_be_visible()
    app.keyboard.press("Tab")
    expect(app.locator("#rollback input[type=radio]").first).to_be_focused()
    app.keyboard.press("Tab")
    expect(confirm).to_be_focused()
    app.keyboard.press("Enter")
    expect(app.locator("#overview dd").first).to_have_text(re.compile("web-3, a rollback to web-0"))


def pause(index: Page, app: Page) -> None:
    """Pause and resume."""
    app.get_by_role("button", name="Pause").click()
    expect(index.locator("#app-web .state")).to_contain_text("Paused")
    app.get_by_role("button", name="Resume").click()
    expect(index.locator("#app-web .state")).not_to_contain_text("Paused")


def cancel(app: Page, app_folder: Path) -> None:
    """Cancel a handover that takes long."""
    write_app(app_folder, env={"MUTE": "1"})
    app.get_by_role("button", name="Deploy").click()
    expect(app.locator("#overview [aria-current=step]")).to_contain_text("wait until ready")
    app.get_by_role("button", name="Cancel").click()
    expect(app.locator("#handover-5 .badge")).to_have_text("Cancelled")


@pytest.mark.parametrize("path", ["/", "/apps/app-03", "/apps/app-09", "/none"])
def test_a_page_of_many_fits_a_phone_is_accessible_and_fast(many: Web, browser: Browser, path: str) -> None:
    with Visit(browser, many.url) as visit:
        wait_for_all(visit.open())
        visit.complaints.clear()
        began = time.monotonic()
        page = visit.open(path)
        took = time.monotonic() - began
        for one in page.locator("details").all()[:3]:
            one.evaluate("one => { one.open = true; }")
        assert accessibility_problems(page, "light") == []
        colours = [background(page, scheme) for scheme in ("light", "dark")]
        assert colours == ["rgb(244, 246, 244)", "rgb(16, 21, 19)"]
        page.set_viewport_size(PHONE)  # type: ignore[arg-type]
        assert overflow(page) == 0
        assert accessibility_problems(page, "dark") == []
        if path != "/none":
            assert visit.complaints == []
            assert took < 5
            expect(page.locator("#connection")).to_have_text(UP_TO_DATE)


def background(page: Page, scheme: str) -> str:
    """Return the colour of the page in a colour scheme."""
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_the_login_is_accessible_and_leads_to_the_page_that_was_asked_for(
    lab: Lab, apps: FakeApps, browser: Browser
) -> None:
    bind = f"{lab.host_ip}:8902"
    with Web(lab, runtime=apps.runtime, bind=bind) as web, Visit(browser, web.url, viewport=PHONE) as visit:
        page = visit.open("/apps/app-03")
        expect(page.get_by_label("Token")).to_be_focused()
        assert accessibility_problems(page, "light") == []
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        assert accessibility_problems(page, "dark") == []
        assert overflow(page) == 0
        page.get_by_label("Token").fill(web.token)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="app-03", exact=True)).to_be_visible()
        # A link on another site needs no new login, and ends no session.
        elsewhere = visit.open("about:blank")
        elsewhere.set_content(f'<a href="{web.url}/">the apps</a>')
        elsewhere.get_by_text("the apps").click()
        wait_for_all(elsewhere)
        elsewhere.close()
        page.get_by_role("link", name="All apps").click()
        wait_for_all(page)
        # Without --allow-actions, nothing can be changed.
        expect(page.locator("form")).to_have_count(1)
        # A session that ends in one window ends in the other, too.
        other = visit.open("/apps/app-07")
        expect(other.locator("#connection")).to_have_text(UP_TO_DATE)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()
        apps.post("app-07", "/pause", {})
        expect(other.get_by_label("Token")).to_be_visible()


def test_without_javascript_everything_is_shown_and_the_forms_work(many: Web, browser: Browser) -> None:
    with Visit(browser, many.url) as waiting:
        wait_for_all(waiting.open())
    with Visit(browser, many.url, java_script_enabled=False, viewport=PHONE) as visit:
        page = visit.open("/")
        expect(page.locator("#apps > li")).to_have_count(APPS)
        expect(page.locator("#app-app-03 time")).to_have_text("2 hours")
        expect(page.locator("#app-app-09 pre")).to_contain_text("DATABASE_URL")
        page.get_by_role("link", name="app-05", exact=True).click()
        expect(page.locator("#log")).to_contain_text("line 49")
        expect(page.locator("noscript")).to_be_visible()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("status").filter(has_text="paused")).to_be_visible()
        page.locator("#rollback summary").click()
        page.get_by_role("button", name="Roll back now").click()
        is_shown(page, "a handover starts")
        cancel = page.get_by_role("button", name="Cancel")
        expect(cancel).to_be_enabled()
        page.get_by_role("link", name="Older").click()
        expect(page.locator(".handovers > li")).to_have_count(25)
        page.get_by_role("link", name="Failed 50").click()
        expect(page.locator(".handovers .badge").first).to_have_text("Failed")
        cancel.click()
        page.get_by_role("button", name="Resume").click()
        is_shown(page, "resumed")


def test_what_the_reader_has_opened_chosen_and_focused_survives_an_update(
    many: Web, apps: FakeApps, browser: Browser
) -> None:
    with Visit(browser, many.url) as visit:
        wait_for_all(visit.open())
        page = visit.open("/apps/app-02")
        expect(page.locator("#connection")).to_have_text(UP_TO_DATE)
        page.locator("#handover-499 summary").click()
        page.locator("#rollback summary").click()
        chosen = page.locator("#rollback input[type=radio]").nth(1)
        chosen.check()
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#handover-499 .asked'))")
        chosen.focus()
        top = page.evaluate("scrollY")
        apps.post("app-02", "/deploy", {})
        is_shown(page, "Handing over to app-02-501")
        expect(page.locator("#handover-499-details")).to_have_attribute("open", "")
        expect(page.locator("#rollback")).to_have_attribute("open", "")
        expect(chosen).to_be_checked()
        expect(chosen).to_be_focused()
        assert page.evaluate("String(getSelection())") == "hanoverd deploy, by alice"
        assert page.evaluate("scrollY") == top
        # What moves, moves only where the reader allows it.
        for motion, animation in (("reduce", "none"), ("no-preference", "pulse")):
            page.emulate_media(reduced_motion=motion)  # type: ignore[arg-type]
            moves = page.locator("#overview [aria-current=step]").evaluate("one => getComputedStyle(one).animationName")
            assert moves == animation
        # The times go on by themselves.
        running = page.locator("#overview [data-running]")
        before = running.text_content()
        expect(running).not_to_have_text(str(before))
        page.keyboard.press("Escape")
        expect(page.locator("#rollback summary")).to_be_focused()
        assert page.locator("#rollback").get_attribute("open") is None
        apps.post("app-02", "/cancel", {})
        expect(page.locator("#handover-501 .badge")).to_have_text("Cancelled")
        assert visit.complaints == []


def test_the_log_stays_where_the_reader_is_and_keeps_no_more_lines_than_it_should(
    many: Web, apps: FakeApps, browser: Browser
) -> None:
    with Visit(browser, many.url) as visit:
        wait_for_all(visit.open())
        page = visit.open("/apps/app-01")
        log = page.locator("#log")
        apps.post("app-01", "/print", {"lines": [f"<b>early {number}</b>\x1b[2J" for number in range(100)]})
        expect(log).to_contain_text("<b>early 99</b>\\x1b[2J")
        log.evaluate("log => { log.scrollTop = 40; }")
        page.wait_for_function("document.querySelector('#log').scrollTop === 40")
        apps.post("app-01", "/print", {"lines": ["late"]})
        expect(log).to_contain_text("late")
        assert log.evaluate("log => log.scrollTop") == 40
        page.get_by_role("button", name="Show new lines").click()
        expect(log.get_by_text("late")).to_be_in_viewport()
        apps.post("app-01", "/print", {"lines": [f"flood {number}" for number in range(5000)]})
        expect(log).to_contain_text("flood 4999")
        assert log.evaluate("log => log.childElementCount") <= 1000
        expect(log.get_by_text("flood 4999")).to_be_in_viewport()
        assert visit.complaints == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(many: Web, browser: Browser) -> None:
    with Visit(browser, many.url) as visit:
        wait_for_all(visit.open())
        page = visit.open("/apps/app-04")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        page.keyboard.press("Enter")
        reached = []
        for _ in range(12):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent.trim() || document.activeElement.id"))
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", reached
        assert reached[:4] == ["All apps", "Deploy", "Pause", "Roll back…"]
        assert any("line 49" in text for text in reached)


def test_windows_share_a_connection_and_those_in_the_background_hold_none(
    many: Web, apps: FakeApps, browser: Browser
) -> None:
    # A browser has six connections to a server: with one more, none would be left for a click.
    with Visit(browser, many.url) as visit:
        windows = [visit.open("/apps/app-06") for _ in range(4)]
        for paused in (True, False):
            apps.post("app-06", "/change", {"paused": paused})
            for window in windows:
                expect(window.locator("#title .badge")).to_have_count(1 + paused)
        # Whichever window holds the connection, another one takes over.
        for hidden in windows[:3]:
            set_hidden(hidden, hidden=True)
        windows += [visit.open("/apps/app-06"), visit.open("/apps/app-06")]
        windows[-1].get_by_role("button", name="Pause").click()
        for window in windows[3:]:
            expect(window.locator("#title")).to_contain_text("Paused")
        for hidden in windows[:3]:
            expect(hidden.locator("#title")).not_to_contain_text("Paused")
        set_hidden(windows[0], hidden=False)
        expect(windows[0].locator("#title")).to_contain_text("Paused")
        assert visit.complaints == []


def test_a_second_click_while_the_first_is_answered_deploys_once(many: Web, browser: Browser) -> None:
    with Visit(browser, many.url) as visit:
        page = visit.open("/apps/app-08")
        sent = page.evaluate(
            "() => { const sent = [], button = document.querySelector('#action-deploy button');"
            "document.addEventListener('submit', one => sent.push(!one.defaultPrevented));"
            "button.click(); button.click(); return sent; }"
        )
        assert sent == [True, False]
        is_shown(page, "Handing over to app-08-501")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#handover-501 .badge")).to_have_text("Cancelled")
        expect(page.locator("#handover-502")).to_have_count(0)


def set_hidden(page: Page, *, hidden: bool) -> None:
    """Have the page believe that it is in the background, or not: without a screen, no window is."""
    page.evaluate(
        "value => { Object.defineProperty(document, 'hidden', { value, configurable: true });"
        "document.dispatchEvent(new Event('visibilitychange')); }",
        hidden,
    )
