"""``hanoverd web`` beside real daemons: what it shows and does, and that neither harms the other when one is killed."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from urllib.parse import urlencode

from tests.integration.asking import eventually, hostname
from tests.integration.conftest import StartDaemon
from tests.integration.test_control import ARGUMENTS, URL, Commands
from tests.lab.daemon import Daemon, run_to_end, twistd
from tests.lab.host import Lab
from tests.lab.images import write_app

PAGE = "http://127.0.0.1:8900"


class Browser:
    """``curl`` on the lab's host, with cookies."""

    def __init__(self, lab: Lab, cookies: Path) -> None:
        self._lab = lab
        self._cookies = str(cookies)

    def command(self, path: str, *options: str) -> list[str]:
        """The command that asks for a path."""
        return self._lab.in_host(
            ["curl", "-sS", "--max-time", "30", "-b", self._cookies, "-c", self._cookies, *options, f"{PAGE}{path}"]
        )

    def get(self, path: str, *options: str) -> str:
        """The body of an answer."""
        return subprocess.run(self.command(path, *options), capture_output=True, text=True, check=True).stdout

    def status(self, path: str, *options: str) -> int:
        """The status of an answer."""
        return int(self.get(path, "-o", "/dev/null", "-w", "%{http_code}", *options))

    def post(self, page: str, path: str, form: Mapping[str, str] | None = None) -> str:
        """Send a form of a page; return the page to which that leads."""
        [csrf, *_] = re.findall(r'name="csrf" value="([0-9a-f]+)"', self.get(page))
        return self.get(path, "-L", "--data", urlencode({"csrf": csrf, **(form or {})}))

    @contextmanager
    def stream(self, path: str) -> Iterator[subprocess.Popen[str]]:
        """A stream that has begun."""
        with subprocess.Popen(self.command(path, "-N"), stdout=subprocess.PIPE, text=True) as running:
            try:
                assert running.stdout
                assert running.stdout.readline() == "retry: 1000\n"
                yield running
            finally:
                running.kill()


def page(lab: Lab, *options: str, program: tuple[str, ...] | None = None) -> Daemon:
    """Start the page."""
    arguments = ("web", "--bind", "127.0.0.1:8900", *options)
    started = Daemon(lab, arguments, "/", program=program)
    started.wait_event("page_serving")
    return started


def test_a_deploy_on_the_page_and_kills_of_either_side(
    lab: Lab, app_folder: Path, daemon: StartDaemon, tmp_path: Path
) -> None:
    browser, commands = Browser(lab, tmp_path / "cookies"), Commands(lab)
    with daemon(*ARGUMENTS, "--on-exit", "keep", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        with page(lab, "--allow-actions", "--login") as web:
            token = re.findall(r"Log in to the page with this token, which is not shown again: (\S+)", web.log())[0]
            assert browser.status("/") == 303
            assert browser.status("/metrics") == 401
            browser.post("/login", "/login", {"token": token})
            eventually(lambda: "web-0" in browser.get("/"))
            check_deploy(lab, browser, hanoverd, app_folder)
            asked = commands.history()[-1]
            assert asked["trigger"] == "hanoverd deploy, on the page"
            assert asked["asked_by"][0]["user"] == "root"
            bearer = ("-H", f"Authorization: Bearer {token}")
            metrics = browser.get("/metrics", *bearer)
            assert 'hanoverd_app_up{app="web"} 1.0' in metrics
            assert re.search(r'hanoverd_handovers_total\{app="web",result="live",trigger="command"\} 1\.0', metrics)
            # The page is killed: the app serves on, and the token stays.
            web.kill()
        assert hostname(lab.in_client, URL.format(lab.host_ip)) == "web-1"
        with page(lab, "--allow-actions", "--login") as web:
            assert "not shown again" not in web.log()
            browser.post("/login", "/login", {"token": token})
            eventually(lambda: "web-1" in browser.get("/apps/web"))
            # The daemon is killed: the page says so.
            hanoverd.kill()
            eventually(lambda: "no hanoverd serves web now" in browser.get("/apps/web"))
            check_stop(browser, web)
    code, out, _ = run_to_end(lab, ["web", "--new-token"], "/")
    assert code == 0
    assert token not in out
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-2")


def check_deploy(lab: Lab, browser: Browser, hanoverd: Daemon, app_folder: Path) -> None:
    """Deploy on the page, and follow it there."""
    write_app(app_folder, version="2")
    with browser.stream("/live") as live, browser.stream("/apps/web/logs") as logs:
        assert "a handover starts" in browser.post("/apps/web", "/apps/web/deploy")
        hanoverd.wait_live("web-1")
        assert live.stdout
        assert logs.stdout
        changed = next(line for line in live.stdout if line.startswith("data: "))
        assert json.loads(changed.removeprefix("data: ")) == {"app": "web"}
        assert next(line for line in logs.stdout if re.match("data: web-1: live in ", line))
    eventually(lambda: "web-1" in browser.get("/"))
    assert hostname(lab.in_client, URL.format(lab.host_ip)) == "web-1"


def check_stop(browser: Browser, web: Daemon) -> None:
    """The page stops within a second, also with streams that are open."""
    with browser.stream("/live"), browser.stream("/live"):
        begun = time.monotonic()
        web.signal(SIGTERM)
        assert web.wait() == 0
        assert time.monotonic() - begun < 1


def test_without_free_descriptors_the_page_works_again_when_there_are_some(
    lab: Lab, app_folder: Path, daemon: StartDaemon, tmp_path: Path
) -> None:
    browser = Browser(lab, tmp_path / "cookies")
    limited = ("prlimit", "--nofile=48:48", *twistd())
    holder = "import socket,time; held = [socket.create_connection(('127.0.0.1', 8900)) for _ in range(60)]; print(flush=True); time.sleep(60)"
    with daemon(*ARGUMENTS, cwd=app_folder) as hanoverd, page(lab, program=limited) as web:
        hanoverd.wait_live("web-0")
        eventually(lambda: "web-0" in browser.get("/"))
        with subprocess.Popen(
            lab.in_host(["python3", "-c", holder]), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as holding:
            assert holding.stdout
            holding.stdout.readline()
            hanoverd.hup()
            hanoverd.wait_live("web-1")
            holding.kill()
        eventually(lambda: "web-1" in browser.get("/"))
        assert not web.events("internal_error")
