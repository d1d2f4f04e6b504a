"""Hooks that leave processes running: hanoverd waits for them neither in a handover nor at its stop."""

from __future__ import annotations

import time

from tests.faults.site import Site, end_process

#: How long these processes run, in seconds: longer than hanoverd waits for anything.  It also identifies them.
_LONG = "97531"

#: Each leaves one process: in a session of its own or not, with the hook's output open or not.
_HOOKS = (
    f"ready=setsid sleep {_LONG} &",
    f"live=setsid sleep {_LONG} &",
    f"live=sleep {_LONG} &",
    f"ready=sleep {_LONG} & echo left",
    f"obtained=setsid sh -c 'sleep {_LONG}; true' >&2 & echo left",
    f"live=setsid sleep {_LONG} >/dev/null 2>&1 &",
)

#: How long a handover may take, in seconds.
_LIVE_WITHIN = 15


def hook_leaves_a_process(site: Site) -> str:
    """In two handovers, and then hanoverd is stopped."""
    hook = site.note = site.chance.choice(_HOOKS)
    site.stop()
    site.start(None, "--hook", hook)
    try:
        site.wait_until_recovered()
        begun = time.monotonic()
        site.hand_over()
        took = time.monotonic() - begun
        assert took < _LIVE_WITHIN, f"{hook}: the handover took {took:.1f} s"
        time.sleep(site.chance.uniform(0, 2))
        site.stop()
    finally:
        for pid in site.processes(_LONG):
            end_process(pid)
    site.start()
    return hook
