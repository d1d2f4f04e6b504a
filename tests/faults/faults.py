"""The faults: each does something to a site, and puts right what only a person could; hanoverd does the rest."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.site import APP, FOLDER, GIT, OVER, Site, wait_for
from tests.faults.traps import AFTER, BEFORE, EngineTrap, ProgramTrap
from tests.lab.daemon import Daemon

#: One of the ends of a handover, as a pattern.
_OVER = "|".join(OVER)


@dataclass(frozen=True)
class Fault:
    """``may_fail``: their app, or the way to it, is taken away, so that some requests could not be saved by anybody.
    ``storms``: it may happen in the middle of a storm of SIGHUPs, too.
    """

    name: str
    happen: Callable[[Site], str]
    may_fail: bool = False
    storms: bool = False
    weight: int = 1


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
    assert site.daemon.terminate() == 0
    site.start()
    return f"{when}, then {site.source}"


def kill_the_app(site: Site) -> str:
    """The live version."""
    name = site.live()
    before = len(site.daemon.log())
    site.lab.docker("POST", f"/containers/{name}/kill")
    site.daemon.wait_for(rf"{name} was live and has exited|{name} is gone", after=before)
    return ""


def kill_the_shim(site: Site) -> str:
    """What stands between containerd and the live version, which the engine then ends, when it has noticed."""
    before = len(site.daemon.log())
    site.lab.engine.kill_shim(site.live())
    site.daemon.wait_for("was live and has exited", after=before)
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
    before = len(site.daemon.log())
    site.daemon.hup()
    name = site.daemon.wait_for(rf"({APP}-\d+): started", after=before)[1]
    site.lab.docker("POST", f"/containers/{name}/kill")
    site.daemon.wait_for(f"{name} failed: it exited with code 137", after=before)
    site.write_app()
    return ""


def flush_the_rules(site: Site) -> str:
    """All of the table."""
    before = len(site.daemon.log())
    subprocess.run(site.lab.in_host(["iptables", "-t", "nat", "-F"]), check=True)
    site.daemon.wait_for("put right", after=before)
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
    before = len(site.daemon.log())
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 0.8))
    site.set_clock(seconds)
    site.daemon.wait_for(rf"{APP}-\d+ is live", after=before)
    site.daemon.wait_for(rf"{APP}-\d+ is gone", after=before)
    site.set_clock(0)
    site.write_app()
    return f"{seconds:+d} s"


def git_host_vanishes(site: Site) -> str:
    """In the middle of a fetch, perhaps."""
    become_of(site, GIT)
    site.write_app(megabytes=5)
    before = len(site.daemon.log())
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 0.3))
    site.git_host.kill()
    end = site.daemon.wait_for(rf"({_OVER})", after=before)[1]
    site.git_host.start()
    return end.strip(" :")


def registry_vanishes(site: Site) -> str:
    """In the middle of a pull, perhaps."""
    name = site.push_image(megabytes=20)
    before = len(site.daemon.log())
    deployed = site.command("deploy", APP, "--image", name)
    assert deployed.returncode == 0, deployed.stderr
    time.sleep(site.chance.uniform(0, 0.5))
    site.registry.kill()
    # Not for long: the engine's own retries may take more than a minute.
    time.sleep(site.chance.uniform(0, 2))
    site.registry.start()
    return site.daemon.wait_for(rf"({_OVER})", timeout=90, after=before)[1].strip(" :")


def hookbot_vanishes(site: Site) -> str:
    """In the middle of a handover, that it has begun; its next word is heard again."""
    become_of(site, FOLDER)
    for _ in range(2):
        before = len(site.daemon.log())
        site.write_app()
        site.publish()
        site.daemon.wait_for("handover: hookbot", after=before)
        time.sleep(site.chance.uniform(0, 0.5))
        site.hookbot.kill()
        site.daemon.wait_for(rf"{APP}-\d+ is live", after=before)
        before = len(site.daemon.log())
        site.hookbot.start()
        site.daemon.wait_for("listening to ", after=before)
    return ""


def become_of(site: Site, source: str) -> None:
    """Have hanoverd run with this source."""
    if site.source != source:
        assert site.daemon.terminate() == 0
        site.start(source)
        site.become_right()
    if source == FOLDER:
        site.daemon.wait_for("listening to ")


def failed_handover(site: Site) -> None:
    """One that fails while the live version goes on."""
    before = len(site.daemon.log())
    site.daemon.hup()
    site.daemon.wait_for("goes on serving; waiting for the next trigger", after=before)


def storm(daemon: Daemon, chance: random.Random) -> None:
    """Triggers for two seconds or so, for as long as it lives."""
    for _ in range(30):
        if daemon.has_ended:
            return
        daemon.hup()
        time.sleep(chance.uniform(0, 0.15))


FAULTS = (
    Fault("kill hanoverd", kill_hanoverd, storms=True, weight=3),
    Fault("kill hanoverd at request", kill_at_a_request, storms=True, weight=3),
    Fault("kill hanoverd at program", kill_at_a_program, storms=True, weight=3),
    Fault("stop hanoverd", stop_hanoverd, storms=True),
    Fault("app killed", kill_the_app, may_fail=True, storms=True),
    Fault("shim killed", kill_the_shim, may_fail=True),
    Fault("engine killed", kill_the_engine, may_fail=True, storms=True),
    Fault("candidate killed", kill_the_candidate),
    Fault("rules flushed", flush_the_rules, may_fail=True, storms=True),
    Fault("storm of SIGHUPs", storm_of_hangups),
    Fault("broken build", broken_build),
    Fault("full disk", full_disk),
    Fault("clock set", set_the_clock),
    Fault("git host vanishes", git_host_vanishes),
    Fault("registry vanishes", registry_vanishes),
    Fault("hookbot vanishes", hookbot_vanishes),
)
