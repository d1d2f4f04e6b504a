"""The engine is in trouble for a moment: it refuses what hanoverd asks for, or takes its time, or drops the connection."""

from __future__ import annotations

import signal
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
    """Trouble for one request of a handover; if it is only late, the handover succeeds."""
    trouble = _trouble(site, number=site.chance.randrange(_MOST))
    site.write_app()
    mark = site.mark()
    site.requests.trouble(trouble)
    site.daemon.hup()
    outcome = site.handover_after(mark, within=40)["outcome"]
    try:
        # That may be one for the old version, which ends only now.
        wait_for(lambda: trouble.befallen, "the request", _ENDS_WITHIN)
    except AssertionError:
        pass  # It has made fewer.
    site.requests.disarm()
    assert trouble.kind != DELAY or outcome == WENT_LIVE, f"{outcome} after {trouble}"
    return f"{_told(trouble)}: {outcome}"


def a_second(site: Site) -> str:
    """Trouble for all requests of a second, at any moment of a handover."""
    trouble = _trouble(site)
    site.write_app()
    mark = site.mark()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 1.5))
    _trouble_for_a_second(site, trouble)
    return f"{_told(trouble)}: {site.handover_after(mark, within=40)['outcome']}"


def at_a_start(site: Site) -> str:
    """Trouble while hanoverd is started again, and takes over what serves."""
    trouble = _trouble(site, number=site.chance.choice((None, *range(8))))
    if site.chance.random() < 0.5:
        site.stop()
    else:
        site.daemon.kill()
    site.requests.trouble(trouble)
    site.start()
    time.sleep(site.chance.uniform(1, 2.5))
    site.requests.disarm()
    site.come_up()
    return _told(trouble)


def at_a_stop(site: Site) -> str:
    """Trouble while hanoverd stops in the middle of a handover."""
    trouble = _trouble(site)
    site.write_app()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 1.5))
    site.requests.trouble(trouble)
    site.daemon.signal(signal.SIGTERM)
    time.sleep(1)
    site.requests.disarm()
    site.stopped()
    site.start()
    return _told(trouble)


def wait_refused(site: Site) -> str:
    """The connections by which hanoverd waits for the end of the live version are cut, and the next wait is refused: the
    version is well, and goes on to be live; and if it dies, it is noticed.
    """
    name = site.live()
    trouble = Trouble(REFUSE, 0, rb"/wait")
    site.requests.trouble(trouble)
    site.requests.cut()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        status = site.status()
        assert status is not None, "hanoverd does not answer"
        assert (status["live"] or {}).get("version") == name, f"{name} was taken for dead"
        time.sleep(0.05)
    site.requests.disarm()
    die_noticed(site)
    return _told(trouble)


def die_noticed(site: Site) -> None:
    """The live version dies, when no request can fail, and another serves."""
    with site.load.off():
        name = site.live()
        site.lab.docker("POST", f"/containers/{name}/kill")
        site.become_right()
        assert site.live() != name, f"{name} is live, and was killed"


def _trouble(site: Site, number: int | None = None) -> Trouble:
    trouble = Trouble(site.chance.choice(_KINDS), number, seconds=site.chance.uniform(0.5, 3))
    site.note = f"{trouble.kind} {'all' if number is None else f'number {number}'}"
    return trouble


def _trouble_for_a_second(site: Site, trouble: Trouble) -> None:
    site.requests.trouble(trouble)
    time.sleep(1)
    site.requests.disarm()


def _told(trouble: Trouble) -> str:
    kind = f"delay by {trouble.seconds:.1f} s" if trouble.kind == DELAY else trouble.kind
    more = f" and {len(trouble.befallen) - 1} more" if len(trouble.befallen) > 1 else ""
    return f"{kind}: {trouble.befallen[0] if trouble.befallen else 'no request'}{more}"
