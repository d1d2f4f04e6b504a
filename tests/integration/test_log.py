"""The wording of the log. No other test with a real engine depends on it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.asking import eventually
from tests.integration.conftest import StartDaemon

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d"
TOOK = r"[\d.]+m?s"

#: The log of a handover from web-0 to web-1; the lines of the two versions may mix.
NEW = (
    r"web: handover 2: SIGHUP",
    r"web-1: build /\S+",
    rf"web-1: obtained \S+ \([0-9a-f]{{12}}\) in {TOOK}",
    rf"web-1: created in {TOOK}",
    rf"web-1: started in {TOOK}: [\d.]+",
    rf"web-1: ready in {TOOK}",
    rf"web-1: routed in {TOOK}",
    rf"web-1: live in {TOOK}: 0\.0\.0\.0:8080 -> [\d.]+:80, \[::\]:8080 -> [\d.]+:80",
)
OLD = (
    r"web-0: draining",
    rf"web-0: drained in {TOOK}(: \d+ connections? cut)?",
    r"web-0  \| SIGTERM",
    rf"web-0: stopped in {TOOK}",
    r"web-0: (removed|kept for a rollback)",
)
STOP = (
    r"web: stopping: SIGTERM .*",
    r"web: hanoverd has stopped",
)


def test_a_handover_reads_as_a_story(app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "web", cwd=app_folder, log_format="text") as hanoverd:
        eventually(lambda: "web-0: live" in hanoverd.log())
        hanoverd.hup()
        eventually(lambda: re.search("web-0: (removed|kept)", hanoverd.log()))
        assert hanoverd.terminate() == 0
        log = hanoverd.log()
    for story in (NEW, OLD, STOP):
        found = [re.search(f"{TIME} {line}$", log, re.MULTILINE) for line in story]
        assert all(found), ([line for line, match in zip(story, found, strict=True) if not match], log)
        positions = [match.start() for match in found if match]
        assert positions == sorted(positions), log


def test_a_stop_that_keeps_the_app_says_what_serves_and_how_to_stop_it(app_folder: Path, daemon: StartDaemon) -> None:
    arguments = ("-p", "8080:80", "--name", "web")
    with daemon(*arguments, "--on-exit", "keep", cwd=app_folder, log_format="text") as hanoverd:
        eventually(lambda: "web-0: live" in hanoverd.log())
        assert hanoverd.terminate() == 0
        line = r"web-0: keeps serving without hanoverd \(--on-exit keep\); `hanoverd stop web` stops it"
        assert re.search(f"{TIME} {line}$", hanoverd.log(), re.MULTILINE), hanoverd.log()
    with daemon(*arguments, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-1")
