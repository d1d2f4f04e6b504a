"""Faults at a stop: the live version dies within milliseconds, or the firewall or the engine fail for a moment."""

from __future__ import annotations

import os
import signal
import time
from contextlib import nullcontext

from tests.faults.programs import failing_firewall
from tests.faults.requests import any_trouble, describe
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


def firewall_fails(site: Site) -> str:
    """With ``--on-exit stop``, while iptables fails for a moment: nothing may be left."""
    _become_stopping(site)
    with failing_firewall(site) as said:
        site.send_stop()
        time.sleep(site.chance.uniform(0.3, 1.5))
    return f"{said}, in {_stopped_for_good(site):.1f} s"


def engine_trouble(site: Site) -> str:
    """With ``--on-exit stop``, in a handover, while the engine is in trouble for a moment: nothing may be left."""
    _become_stopping(site)
    trouble = any_trouble(site)
    site.write_app()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 1.5))
    site.requests.trouble(trouble)
    site.send_stop()
    time.sleep(1)
    site.requests.disarm()
    return f"{describe(trouble)}, in {_stopped_for_good(site):.1f} s"


def _become_stopping(site: Site) -> None:
    site.stop()
    site.start(keep=False)
    site.wait_until_recovered()


def _stop_at_a_death(site: Site, *, drains: bool, keep: bool = True) -> str:
    delay = site.chance.choice(_DELAYS)
    site.note = f"after {delay * 1000:.0f} ms"
    with site.slow_request(_DRAINS_FOR) if drains else nullcontext():
        if drains:
            site.hand_over()
        os.kill(site.process_of(site.live()), signal.SIGKILL)
        time.sleep(delay)
        site.send_stop()
        if not keep:
            return f"{site.note}, in {_stopped_for_good(site):.1f} s"
        took = site.wait_stopped()
    site.start()
    return f"{site.note}, in {took:.1f} s"


def _stopped_for_good(site: Site) -> float:
    took = site.wait_stopped()
    left = site.left()
    assert not left, f"left behind: {', '.join(left)}"
    site.start()
    return took
