"""Chromium on the lab's first host: Debian's, without a window, driven by playwright."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.lab.host import Lab

#: How long to wait for what must happen, in milliseconds.  The machine may be busy.
WITHIN_MS = 30_000

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}

_PROGRAM = "/usr/bin/chromium"

#: Root cannot use Chromium's sandbox; and it asks no server for anything.
_OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@contextmanager
def chromium(prefix: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[Browser]:
    """Run Chromium behind ``prefix``, with a new and empty folder of its own, and with the variables ``env``."""
    with tempfile.TemporaryDirectory(prefix="hanoverd-browser-") as folder, sync_playwright() as playwright:
        program = Path(folder, "chromium")
        program.write_text(f'#!/bin/sh\nexec {shlex.join([*prefix, _PROGRAM])} "$@"\n')
        program.chmod(0o755)
        browser = playwright.chromium.launch(
            executable_path=str(program),
            args=[*_OPTIONS],
            timeout=WITHIN_MS,
            env={"HOME": folder, "PATH": "/usr/bin:/bin", **(env or {})},
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def chromium_of(lab: Lab) -> Iterator[Browser]:
    """Run Chromium on the lab's first host."""
    with chromium(lab.in_host([])) as browser:
        yield browser


class Visit:
    """A user's visit to the page at ``url``: windows that share cookies.  It keeps what the browser complains about."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        options.setdefault("viewport", DESK)
        self._context = browser.new_context(base_url=url, **options)
        self._context.set_default_timeout(WITHIN_MS)
        #: Errors and warnings of the console, and errors of scripts.
        self.complaints: list[str] = []

    def open(self, path: str = "/") -> Page:
        """Return a new window."""
        page = self._context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(path)
        return page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")


def accessibility_problems(page: Page, scheme: str) -> list[str]:
    """Return what axe-core finds, in a colour scheme."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    violations = Axe().run(page).response["violations"]
    return [f"{one['id']}: {[node['html'] for node in one['nodes']]}" for one in violations]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
