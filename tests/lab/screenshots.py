"""Makes the screenshots of the page, of a real run with five small apps: see scripts/screenshots.  usage: screenshots.py FOLDER"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page

from tests.lab.api import call
from tests.lab.browser import PHONE, Visit, chromium
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app
from tests.lab.web import Web

APPS = ("blog", "docs", "mail", "search", "shop")

#: The font of the screenshots, whatever is installed beside it.
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><include>/etc/fonts/fonts.conf</include>
<match target="pattern"><test qual="any" name="family"><string>sans-serif</string></test>
<edit name="family" mode="assign" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test qual="any" name="family"><string>system-ui</string></test>
<edit name="family" mode="assign" binding="strong"><string>Inter</string></edit></match>
<match target="pattern"><test qual="any" name="family"><string>sans</string></test>
<edit name="family" mode="assign" binding="strong"><string>Inter</string></edit></match></fontconfig>
"""

WIDE = {"width": 1180, "height": 760}


class App:
    """An app of the example."""

    def __init__(self, lab: Lab, folder: Path, name: str, port: int) -> None:
        self._socket = str(lab.runtime / f"{name}.sock")
        self.folder = folder / name
        write_app(self.folder)
        # The page shows from which folder a version was built.
        in_srv = [
            "unshare",
            "--mount",
            "sh",
            "-c",
            f'mount --bind "$0" /srv && cd /srv/{name} && exec "$@"',
            str(folder),
        ]
        options = ("--name", name, "--publish", f"{port}:80", "--drain-timeout", "1s")
        self.hanoverd = Daemon(lab, options, self.folder, as_user=in_srv)

    def deploy(self, outcome: str, **env: str) -> None:
        """Start a handover, and wait for the event ``outcome``."""
        after = self.hanoverd.position
        write_app(self.folder, version=str(after), env=env)
        call(self._socket, "POST", "/deploy", {})
        self.hanoverd.wait_event(outcome, after=after)


@contextmanager
def running(lab: Lab, folder: Path) -> Iterator[dict[str, App]]:
    """Run the apps, until each is live."""
    with ExitStack() as stack:
        apps = {name: App(lab, folder, name, 8080 + number) for number, name in enumerate(APPS)}
        for app in apps.values():
            stack.enter_context(app.hanoverd)
        for name, app in apps.items():
            app.hanoverd.wait_live(f"{name}-0")
        yield apps


def history(apps: dict[str, App]) -> None:
    """Hand the apps over, with success and without."""
    shop = apps["shop"]
    for seconds in ("0.4", "0", "0.9"):
        shop.deploy("live", READY_AFTER=seconds)
    shop.deploy("waiting", EXIT="3")
    shop.deploy("live", READY_AFTER="0.2")
    apps["docs"].deploy("live")
    apps["mail"].deploy("waiting", EXIT="1")
    apps["search"].deploy("started", MUTE="1")


def take(browser: Browser, url: str, target: Path) -> None:
    """Take all screenshots."""
    with Visit(browser, url, viewport=WIDE, reduced_motion="reduce") as visit:
        page = visit.open("/apps/blog")
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").wait_for()
        page.goto("/")
        page.get_by_text("Paused").wait_for()
        shoot(page, target / "web-apps.png", whole=True)
        page.goto("/apps/shop")
        page.locator("#log div").first.wait_for()
        page.locator("#handover-6 summary").click()
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        shoot(page, target / "web-app-dark.png", whole=True)
    with Visit(browser, url, viewport=PHONE, reduced_motion="reduce", device_scale_factor=2) as visit:
        page = visit.open("/apps/shop")
        page.locator("#log div").first.wait_for()
        page.locator("#rollback summary").click()
        shoot(page, target / "web-phone.png", whole=False)


def shoot(page: Page, file: Path, *, whole: bool) -> None:
    """Take a screenshot once the page is up to date."""
    page.get_by_text("Up to date").wait_for()
    page.screenshot(path=str(file), full_page=whole)


def main(target: Path) -> None:
    """Make the screenshots in the folder ``target``."""
    target.mkdir(exist_ok=True)
    lab = Lab()
    lab.start()
    folder = Path(tempfile.mkdtemp(prefix="example-"))
    try:
        import_base(lab)
        fonts = folder / "fonts.conf"
        fonts.write_text(FONTS)
        with running(lab, folder) as apps:
            history(apps)
            with (
                Web(lab, "--allow-actions", hostname="frankfurt-1") as web,
                chromium(lab.in_host([]), {"FONTCONFIG_FILE": str(fonts)}) as browser,
            ):
                take(browser, web.url, target)
    finally:
        lab.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
