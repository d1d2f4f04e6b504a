"""The wording of the log, which people read: the only tests that depend on it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.integration.asking import eventually
from tests.integration.conftest import StartDaemon

TOOK = r"in [\d.]+m?s"

#: What the log says of a handover from told-0 to told-1, in this order.
STORY = (
    "told-1: build ",
    f"told-1: obtained .*{TOOK}",
    f"told-1: created {TOOK}",
    f"told-1: started at .*{TOOK}",
    f"told-1: ready {TOOK}",
    f"told-1: flipped {TOOK}",
    "told-1 is live: .*0.0.0.0:8080 -> ",
    "told-0 is gone: drained",
)


def test_a_handover_reads_as_a_story(app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "told", cwd=app_folder, log_format="text") as hanoverd:
        eventually(lambda: "told-0 is live" in hanoverd.log())
        hanoverd.hup()
        eventually(lambda: "told-0 is gone" in hanoverd.log())
        found = [re.search(line, hanoverd.log()) for line in STORY]
        assert all(found), [line for line, match in zip(STORY, found, strict=True) if not match]
        starts = [match.start() for match in found if match]
        assert starts == sorted(starts)
