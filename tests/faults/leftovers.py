"""Hooks that leave processes behind, which are the user's: neither a handover nor a stop waits for them."""

from __future__ import annotations

import time

from tests.faults.site import Site, end_process

#: For longer than hanoverd would ever wait, in seconds.
_LONG = "97531"

#: Each leaves one process, with or without a session of its own, that holds the hook's output, or does not.
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
    """At one handover after the other, and then a stop."""
    hook = site.note = site.chance.choice(_HOOKS)
    site.stop()
    site.start(None, "--hook", hook)
    try:
        site.become_right()
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
