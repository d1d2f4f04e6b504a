"""The wording of the log. No other test depends on it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.asking import eventually
from tests.integration.conftest import StartDaemon

TOOK = r"in [\d.]+m?s"

#: The lines of a handover from web-0 to web-1, in their order.
STORY = (
    "web-1: build ",
    f"web-1: obtained .*{TOOK}",
    f"web-1: created {TOOK}",
    f"web-1: started at .*{TOOK}",
    f"web-1: ready {TOOK}",
    f"web-1: flipped {TOOK}",
    "web-1 is live: .*0.0.0.0:8080 -> ",
    "web-0 is gone: drained",
)


def test_a_handover_reads_as_a_story(app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "web", cwd=app_folder, log_format="text") as hanoverd:
        eventually(lambda: "web-0 is live" in hanoverd.log())
        hanoverd.hup()
        eventually(lambda: "web-0 is gone" in hanoverd.log())
        found = [re.search(line, hanoverd.log()) for line in STORY]
        assert all(found), [line for line, match in zip(STORY, found, strict=True) if not match]
        starts = [match.start() for match in found if match]
        assert starts == sorted(starts)
