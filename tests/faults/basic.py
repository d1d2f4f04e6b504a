"""The first faults: what runs is killed, vanishes, or is not there, and triggers come in storms."""

from __future__ import annotations

import random
import signal
import subprocess
import time

from tests.faults.right import named
from tests.faults.site import FOLDER, GIT, Site, wait_for
from tests.faults.traps import AFTER, BEFORE, EngineTrap, ProgramTrap
from tests.faults.words import APP, FAILED, WENT_LIVE


def kill_hanoverd(site: Site) -> str:
    """At a phase of a handover, or at any moment."""
    when = site.hand_over_until()
    site.daemon.kill()
    site.start()
    return f"{when}, then {site.source}"


def kill_at_a_request(site: Site) -> str:
    """At any request that it makes of the engine during a handover: before that is carried out, or after."""
    return _trapped(site, site.requests, 16)


def kill_at_a_program(site: Site) -> str:
    """At any program that it runs during a handover, before it runs or after."""
    return _trapped(site, site.programs, 12)


def _trapped(site: Site, trap: EngineTrap | ProgramTrap, most: int) -> str:
    number, phase = site.chance.randrange(most), site.chance.choice((BEFORE, AFTER))
    site.write_app()
    try:
        for _ in range(10):
            if not trap.is_armed:
                # Also when it went off in vain: a newer trigger has ended what it waited for.
                trap.arm(number, phase, site.daemon.pid)
            # Some handovers have less of them than others.
            site.daemon.hup()
            deadline = time.monotonic() + 4
            while not site.daemon.has_ended and time.monotonic() < deadline:
                time.sleep(0.01)
            if site.daemon.has_ended:
                break
        wait_for(lambda: site.daemon.has_ended, f"{phase} number {number}")
    finally:
        trap.disarm()
    site.start()
    return f"{phase} number {number}, then {site.source}"


def stop_hanoverd(site: Site) -> str:
    """As an upgrade does."""
    when = site.hand_over_until()
    site.stop()
    site.start()
    return f"{when}, then {site.source}"


def kill_the_app(site: Site) -> str:
    """The live version."""
    name = site.live()
    site.lab.docker("POST", f"/containers/{name}/kill")
    no_longer_live(site, name)
    return ""


def kill_the_shim(site: Site) -> str:
    """What stands between containerd and the live version, which the engine then ends, when it has noticed."""
    name = site.live()
    site.lab.engine.kill_shim(name)
    no_longer_live(site, name)
    return ""


def kill_the_engine(site: Site) -> str:
    """With no live-restore: what ran on it ends, at the latest when it comes again."""
    when = site.hand_over_until()
    site.lab.engine.kill()
    time.sleep(site.chance.uniform(0, 1))
    site.lab.engine.start()
    return when


def kill_the_candidate(site: Site) -> str:
    """The version that is about to be ready."""
    site.write_app(READY_AFTER="0.5")
    mark = site.mark()
    site.daemon.hup()
    name = site.handover_after(mark, lambda record: "started" in [one["phase"] for one in record["phases"]])["version"]
    site.lab.docker("POST", f"/containers/{name}/kill")
    assert site.handover_after(mark)["outcome"] == FAILED
    site.write_app()
    return ""


def flush_the_rules(site: Site) -> str:
    """All of the table."""
    subprocess.run(site.lab.in_host(["iptables", "--wait", "5", "-t", "nat", "-F"]), check=True)
    wait_for(lambda: named(site.lab.iptables_save()), "the rules are there again", 10)
    return ""


def storm_of_hangups(site: Site) -> str:
    """Triggers by the dozen."""
    for _ in range(30):
        site.daemon.hup()
        time.sleep(site.chance.uniform(0, 0.05))
    return ""


def broken_build(site: Site) -> str:
    """A Dockerfile that is wrong."""
    site.write_app(dockerfile="FORM scratch\n")
    failed_handover(site)
    site.write_app()
    return f"from {site.source}"


def full_disk(site: Site) -> str:
    """The engine's, while it builds something large."""
    site.write_app(megabytes=20)
    with site.full_disk():
        failed_handover(site)
    return f"from {site.source}"


def set_the_clock(site: Site) -> str:
    """An hour, or a day, forth or back, in the middle of a handover, which goes on; then it is right again."""
    seconds = site.chance.choice((-86400, -3600, 3600, 86400))
    site.write_app(READY_AFTER="0.3")
    mark = site.mark()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 0.8))
    site.set_clock(seconds)
    site.handover_after(mark, lambda record: record["outcome"] == WENT_LIVE)
    wait_for(lambda: not (site.status() or {"draining": True})["draining"], "no version drains")
    site.set_clock(0)
    site.write_app()
    return f"{seconds:+d} s"


def git_host_vanishes(site: Site) -> str:
    """In the middle of a fetch, perhaps."""
    become_of(site, GIT)
    site.write_app(megabytes=5)
    mark = site.mark()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 0.3))
    site.git_host.kill()
    outcome = site.handover_after(mark)["outcome"]
    site.git_host.start()
    return str(outcome)


def registry_vanishes(site: Site) -> str:
    """In the middle of a pull, perhaps."""
    name = site.push_image(megabytes=20)
    mark = site.mark()
    deployed = site.command("deploy", APP, "--image", name)
    assert deployed.returncode == 0, deployed.stderr
    time.sleep(site.chance.uniform(0, 0.5))
    site.registry.kill()
    # Not for long: the engine's own retries may take more than a minute.
    time.sleep(site.chance.uniform(0, 2))
    site.registry.start()
    return str(site.handover_after(mark, within=90)["outcome"])


def hookbot_vanishes(site: Site) -> str:
    """In the middle of a handover, that it has begun; its next word is heard again."""
    become_of(site, FOLDER)
    for _ in range(2):
        mark = site.mark()
        site.write_app()
        site.publish()
        site.handover_after(mark, lambda record: "hookbot" in record["trigger"])
        time.sleep(site.chance.uniform(0, 0.5))
        site.hookbot.kill()
        site.handover_after(mark, lambda record: record["outcome"] == WENT_LIVE)
        site.hookbot.start()
        site.wait_until_subscribed()
    return ""


def become_of(site: Site, source: str) -> None:
    """Have hanoverd run with this source."""
    if site.source != source:
        site.stop()
        site.start(source)
        site.become_right()
    if source == FOLDER:
        site.wait_until_subscribed()


def failed_handover(site: Site) -> None:
    """One that fails while the live version goes on."""
    mark = site.mark()
    site.daemon.hup()
    assert site.handover_after(mark)["outcome"] == FAILED


def no_longer_live(site: Site, name: str) -> None:
    """Wait until hanoverd has noticed that a version has ended."""

    def is_noticed() -> bool:
        status = site.status()
        return status is not None and (status["live"] or {}).get("version") != name

    wait_for(is_noticed, f"the end of {name} is noticed")


def storm(site: Site, chance: random.Random) -> None:
    """Triggers for two seconds or so, for as long as hanoverd lives."""
    daemon = site.daemon
    for _ in range(30):
        if daemon.has_ended:
            return
        # A process that has only just started is ended by SIGHUP, as any is before it takes the signal.
        if daemon.handles(signal.SIGHUP):
            daemon.hup()
        time.sleep(chance.uniform(0, 0.15))
