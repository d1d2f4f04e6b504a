"""Faults at a stop: SIGTERM within milliseconds of the death of the live version."""

from __future__ import annotations

import os
import signal
import time
from contextlib import nullcontext

from tests.faults.site import Site

#: Between the death and SIGTERM, in seconds; the engine reports the death after some 30 ms.
_DELAYS = (0.0, 0.005, 0.02, 0.05, 0.1)

#: How long the request takes for which a version drains, in seconds.
_DRAINS_FOR = 6


def keep_at_a_death(site: Site) -> str:
    """With ``--on-exit keep``."""
    return _stop_at_a_death(site, drains=False)


def keep_at_a_death_in_a_drain(site: Site) -> str:
    """With ``--on-exit keep``, while another version drains."""
    return _stop_at_a_death(site, drains=True)


def stop_at_a_death(site: Site) -> str:
    """With ``--on-exit stop``: nothing may be left."""
    _become_stopping(site)
    return _stop_at_a_death(site, drains=False, keep=False)


def stop_at_a_death_in_a_drain(site: Site) -> str:
    """With ``--on-exit stop``, while another version drains."""
    _become_stopping(site)
    return _stop_at_a_death(site, drains=True, keep=False)


def _become_stopping(site: Site) -> None:
    site.stop()
    site.start(keep=False)
    site.become_right()


def _stop_at_a_death(site: Site, *, drains: bool, keep: bool = True) -> str:
    delay = site.chance.choice(_DELAYS)
    site.note = f"after {delay * 1000:.0f} ms"
    with site.slow_request(_DRAINS_FOR) if drains else nullcontext():
        if drains:
            site.hand_over()
        os.kill(site.process_of(site.live()), signal.SIGKILL)
        time.sleep(delay)
        took = site.stop()
    if not keep:
        left = site.left()
        assert not left, f"left behind: {', '.join(left)}"
    site.start()
    return f"{site.note}, in {took:.1f} s"
