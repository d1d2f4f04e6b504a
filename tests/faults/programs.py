"""Programs that hanoverd runs fail for a moment: those of the firewall, for another holds its lock, and conntrack."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.basic import no_longer_live
from tests.faults.site import Site, wait_for

SAVE, RESTORE, CONNTRACK = "iptables-save", "iptables-restore", "conntrack"

#: How iptables fails, by exit status (4 is a resource problem, as a lock that is held).
_WAYS = (
    (4, "Another app is currently holding the xtables lock. Perhaps you want to use the -w option?"),
    (4, "iptables: Resource temporarily unavailable."),
    (1, "iptables-restore v1.8.9 (nf_tables): line 4: RULE_REPLACE failed (Device or resource busy)"),
)

#: How long a version may drain after whose flip no request takes long, in seconds; if its connections cannot be counted,
#: it is three times as many.
DRAINS_WITHIN = 10


@contextmanager
def failing_firewall(site: Site) -> Iterator[str]:
    """The firewall's programs, or one of them, fail meanwhile; gives which."""
    names = site.chance.choice(((SAVE, RESTORE), (SAVE,), (RESTORE,)))
    with _failing(site, names, *site.chance.choice(_WAYS)) as said:
        site.note = said
        yield said


def firewall_fails(site: Site) -> str:
    """While nothing else happens."""
    with failing_firewall(site) as said:
        _about_a_second(site.chance)
    site.have_rules_repaired()
    return said


def firewall_fails_in_a_handover(site: Site) -> str:
    """At any moment of one, often about its flip."""
    site.write_app()
    mark = site.mark()
    site.daemon.hup()
    if site.chance.random() < 0.5:
        site.handover_after(mark, lambda record: "created" in [one["phase"] for one in record["phases"]])
    time.sleep(site.chance.uniform(0, 0.7))
    with failing_firewall(site) as said:
        _about_a_second(site.chance)
    outcome = site.handover_after(mark)["outcome"]
    site.have_rules_repaired()
    return f"{said}: {outcome}"


def firewall_fails_at_a_death(site: Site) -> str:
    """The live version dies meanwhile, so that its rules can be neither removed nor replaced."""
    with site.load.off():
        name = site.live()
        with failing_firewall(site) as said:
            site.lab.docker("POST", f"/containers/{name}/kill")
            _about_a_second(site.chance)
        no_longer_live(site, name)
        site.become_right()
    return said


def firewall_fails_at_a_start(site: Site) -> str:
    """While hanoverd is started again, and takes over what serves."""
    if site.chance.random() < 0.5:
        site.stop()
    else:
        site.daemon.kill()
    begins_late = site.chance.random() < 0.5
    if begins_late:
        site.start()
        # It has found nothing wrong before that.
        wait_for(lambda: site.status() or site.daemon.has_ended, "hanoverd answers")
    with failing_firewall(site) as said:
        if not begins_late:
            site.start()
        _about_a_second(site.chance)
    site.come_up()
    return f"{said}, {'as soon as it answers' if begins_late else 'from the start'}"


def conntrack_fails(site: Site) -> str:
    """While a version drains, which goes on to be drained."""
    seconds = site.chance.uniform(2, 4)
    with site.slow_request(seconds) as client:
        site.hand_over()
        time.sleep(site.chance.uniform(0, 1.5))
        with _failing(site, (CONNTRACK,), 1, "conntrack v1.4.7 (conntrack-tools): Operation failed: no buffer space"):
            _about_a_second(site.chance)
        assert client.wait(seconds + 10) == 0, "the request of the draining version was cut"
        _drains_soon(site)
    return f"a request of {seconds:.1f} s"


def conntrack_fails_at_first(site: Site) -> str:
    """At the first call of all; later ones succeed, and are what counts."""
    site.stop()
    with _failing(site, (CONNTRACK,), 1, "conntrack v1.4.7 (conntrack-tools): Operation failed: no buffer space"):
        site.start()
        wait_for(lambda: site.programs.has_failed(CONNTRACK), "conntrack is called")
    site.become_right()
    site.hand_over()
    _drains_soon(site)
    return ""


def _drains_soon(site: Site) -> None:
    wait_for(lambda: not (site.status() or {"draining": True})["draining"], "no version drains", DRAINS_WITHIN)


@contextmanager
def _failing(site: Site, names: tuple[str, ...], status: int, message: str) -> Iterator[str]:
    for name in names:
        site.programs.fail(name, status, message)
    try:
        yield f"{' and '.join(names)} with {status}"
    finally:
        for name in names:
            site.programs.succeed(name)


def _about_a_second(chance: random.Random) -> None:
    time.sleep(chance.uniform(0.7, 1.5))
