"""Many commands for a running hanoverd at once."""

from __future__ import annotations

import random
import time

from tests.faults.site import Site
from tests.faults.words import APP

_COMMANDS = ("cancel", "pause", "resume", "rollback", "deploy", "status", "history")

_COUNT = 8


def storm_of_commands(site: Site) -> str:
    """During a handover, while nothing is broken."""
    site.write_app()
    site.daemon.hup()
    return blow(site, site.chance)


def blow(site: Site, chance: random.Random) -> str:
    """Run random commands while hanoverd runs, and resume it at the end; a command may be refused, but must not hang."""
    said = []
    for _ in range(_COUNT):
        if site.daemon.has_ended:
            break
        said.append(chance.choice(_COMMANDS))
        site.command(said[-1], APP)
        time.sleep(chance.uniform(0, 0.2))
    site.command("resume", APP)
    return " ".join(said)
