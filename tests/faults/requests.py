"""Faults of the engine: for a moment it answers 503, or late, or its connections are closed."""

from __future__ import annotations

import time

from tests.faults.site import Site, wait_for
from tests.faults.traps import DELAY, DROP_AFTER, DROP_BEFORE, REFUSE, Trouble
from tests.faults.words import WENT_LIVE

_KINDS = (REFUSE, DELAY, DROP_BEFORE, DROP_AFTER)

#: How many requests hanoverd makes in a handover, about.
_MOST = 16

#: How long it makes requests after the flip, in seconds, about.
_ENDS_WITHIN = 4


def one_request(site: Site) -> str:
    """Trouble for one request of a handover, which must succeed if the request is only late."""
    trouble = any_trouble(site, number=site.chance.randrange(_MOST))
    site.write_app()
    mark = site.mark()
    site.requests.trouble(trouble)
    site.daemon.hup()
    outcome = site.handover_after(mark, within=40)["outcome"]
    try:
        # The old version is stopped and kept only now, by further requests.
        wait_for(lambda: trouble.affected, "the request", _ENDS_WITHIN)
    except AssertionError:
        pass  # This handover made fewer requests.
    site.requests.disarm()
    assert trouble.kind != DELAY or outcome == WENT_LIVE, f"{outcome} after {trouble}"
    return f"{describe(trouble)}: {outcome}"


def a_second(site: Site) -> str:
    """Trouble for all requests of a second, at any moment of a handover."""
    trouble = any_trouble(site)
    site.write_app()
    mark = site.mark()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 1.5))
    _trouble_for_a_second(site, trouble)
    return f"{describe(trouble)}: {site.handover_after(mark, within=40)['outcome']}"


def at_a_start(site: Site) -> str:
    """Trouble while hanoverd is restarted and adopts the live version."""
    trouble = any_trouble(site, number=site.chance.choice((None, *range(8))))
    if site.chance.random() < 0.5:
        site.stop()
    else:
        site.daemon.kill()
    site.requests.trouble(trouble)
    site.start()
    time.sleep(site.chance.uniform(1, 2.5))
    site.requests.disarm()
    site.come_up()
    return describe(trouble)


def at_a_stop(site: Site) -> str:
    """Trouble while hanoverd stops in the middle of a handover."""
    trouble = any_trouble(site)
    site.write_app()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 1.5))
    site.requests.trouble(trouble)
    site.send_stop()
    time.sleep(1)
    site.requests.disarm()
    site.wait_stopped()
    site.start()
    return describe(trouble)


def wait_refused(site: Site) -> str:
    """All connections to the engine are closed, and the engine answers the next ``wait`` with 503.

    The live version still runs, so it must stay live; when it dies afterwards, hanoverd must notice that.
    """
    name = site.live()
    trouble = Trouble(REFUSE, 0, rb"/wait")
    site.requests.trouble(trouble)
    site.requests.cut()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        status = site.status()
        assert status is not None, "hanoverd does not answer"
        assert (status["live"] or {}).get("version") == name, f"{name} was replaced, and still runs"
        time.sleep(0.05)
    site.requests.disarm()
    kill_and_recover(site)
    return describe(trouble)


def kill_and_recover(site: Site) -> None:
    """Kill the live version while there is no load, and wait for another one."""
    with site.load.off():
        name = site.live()
        site.lab.docker("POST", f"/containers/{name}/kill")
        site.wait_until_recovered()
        assert site.live() != name, f"{name} is live, and was killed"


def any_trouble(site: Site, number: int | None = None) -> Trouble:
    """Return trouble of a random kind."""
    trouble = Trouble(site.chance.choice(_KINDS), number, seconds=site.chance.uniform(0.5, 3))
    site.note = f"{trouble.kind} {'all' if number is None else f'number {number}'}"
    return trouble


def _trouble_for_a_second(site: Site, trouble: Trouble) -> None:
    site.requests.trouble(trouble)
    time.sleep(1)
    site.requests.disarm()


def describe(trouble: Trouble) -> str:
    """Return what a trouble was, and which requests it affected."""
    kind = f"delay by {trouble.seconds:.1f} s" if trouble.kind == DELAY else trouble.kind
    more = f" and {len(trouble.affected) - 1} more" if len(trouble.affected) > 1 else ""
    return f"{kind}: {trouble.affected[0] if trouble.affected else 'no request'}{more}"
