"""Faults of the programs that hanoverd runs: iptables, because another program holds its lock, and conntrack."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.basic import no_longer_live
from tests.faults.site import Site, wait_for

SAVE, RESTORE, CONNTRACK = "iptables-save", "iptables-restore", "conntrack"

#: How iptables fails: exit status and message (4 is a resource problem, for example a lock that is held).
_WAYS = (
    (4, "Another app is currently holding the xtables lock. Perhaps you want to use the -w option?"),
    (4, "iptables: Resource temporarily unavailable."),
    (1, "iptables-restore v1.8.9 (nf_tables): line 4: RULE_REPLACE failed (Device or resource busy)"),
)

#: How long a version without slow requests may drain, in seconds: less than the drain timeout of 30, which it takes if its
#: connections cannot be counted.
DRAINS_WITHIN = 10


@contextmanager
def failing_firewall(site: Site) -> Iterator[str]:
    """Make one or both programs of the firewall fail; yield which."""
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
    """At any moment of a handover, often near its flip."""
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
    """When the live version dies, so that its rules cannot be removed or replaced at once."""
    with site.load.off():
        name = site.live()
        with failing_firewall(site) as said:
            site.lab.docker("POST", f"/containers/{name}/kill")
            _about_a_second(site.chance)
        no_longer_live(site, name)
        site.wait_until_recovered()
    return said


def firewall_fails_at_a_start(site: Site) -> str:
    """While hanoverd is restarted and adopts the live version."""
    if site.chance.random() < 0.5:
        site.stop()
    else:
        site.daemon.kill()
    begins_late = site.chance.random() < 0.5
    if begins_late:
        site.start()
        # Its checks at the start have passed by now.
        wait_for(lambda: site.status() or site.daemon.has_ended, "hanoverd answers")
    with failing_firewall(site) as said:
        if not begins_late:
            site.start()
        _about_a_second(site.chance)
    site.come_up()
    return f"{said}, {'as soon as it answers' if begins_late else 'from the start'}"


def conntrack_fails(site: Site) -> str:
    """While a version drains; its last request is still answered, and it does not drain for longer."""
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
    """At the first call only: connections are counted again later."""
    site.stop()
    with _failing(site, (CONNTRACK,), 1, "conntrack v1.4.7 (conntrack-tools): Operation failed: no buffer space"):
        site.start()
        wait_for(lambda: site.programs.has_failed(CONNTRACK), "conntrack is called")
    site.wait_until_recovered()
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
