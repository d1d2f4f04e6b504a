"""Basic faults: processes are killed, servers are stopped, and many triggers arrive at once."""

from __future__ import annotations

import random
import signal
import subprocess
import time

from tests.faults.checks import named
from tests.faults.site import FOLDER, GIT, Site, wait_for
from tests.faults.traps import AFTER, BEFORE, EngineTrap, ProgramTrap
from tests.faults.words import APP, FAILED, WENT_LIVE


def kill_hanoverd(site: Site) -> str:
    """Kill hanoverd at a phase of a handover, or at any moment."""
    when = site.hand_over_until()
    site.daemon.kill()
    site.start()
    return f"{when}, then {site.source}"


def kill_at_a_request(site: Site) -> str:
    """Kill hanoverd at any request to the engine during a handover, before or after the engine has acted."""
    return _trapped(site, site.requests, 16)


def kill_at_a_program(site: Site) -> str:
    """Kill hanoverd at any program that it runs during a handover, before or after the program runs."""
    return _trapped(site, site.programs, 12)


def _trapped(site: Site, trap: EngineTrap | ProgramTrap, most: int) -> str:
    number, phase = site.chance.randrange(most), site.chance.choice((BEFORE, AFTER))
    site.write_app()
    try:
        for _ in range(10):
            if not trap.is_armed:
                # Arm it again if it went off for a handover that a newer trigger cancelled.
                trap.arm(number, phase, site.daemon.pid)
            # Some handovers have fewer of them than others.
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
    """Stop and start hanoverd, as an upgrade does."""
    when = site.hand_over_until()
    site.stop()
    site.start()
    return f"{when}, then {site.source}"


def kill_the_app(site: Site) -> str:
    """Kill the live version."""
    name = site.live()
    site.lab.docker("POST", f"/containers/{name}/kill")
    no_longer_live(site, name)
    return ""


def kill_the_shim(site: Site) -> str:
    """Kill the shim between containerd and the live version; the engine then stops the version."""
    name = site.live()
    site.lab.engine.kill_shim(name)
    no_longer_live(site, name)
    return ""


def kill_the_engine(site: Site) -> str:
    """Kill the engine, without live-restore: its containers stop, at the latest when it starts again."""
    when = site.hand_over_until()
    site.lab.engine.kill()
    time.sleep(site.chance.uniform(0, 1))
    site.lab.engine.start()
    return when


def kill_the_candidate(site: Site) -> str:
    """Kill a version that is not ready yet."""
    site.write_app(READY_AFTER="0.5")
    mark = site.mark()
    site.daemon.hup()
    name = site.handover_after(mark, lambda record: "started" in [one["phase"] for one in record["phases"]])["version"]
    site.lab.docker("POST", f"/containers/{name}/kill")
    assert site.handover_after(mark)["outcome"] == FAILED
    site.write_app()
    return ""


def flush_the_rules(site: Site) -> str:
    """Flush the whole table."""
    subprocess.run(site.lab.in_host(["iptables", "--wait", "5", "-t", "nat", "-F"]), check=True)
    wait_for(lambda: named(site.lab.iptables_save()), "the rules are there again", 10)
    return ""


def storm_of_hangups(site: Site) -> str:
    """Send many triggers."""
    for _ in range(30):
        site.daemon.hup()
        time.sleep(site.chance.uniform(0, 0.05))
    return ""


def broken_build(site: Site) -> str:
    """Hand over with an invalid Dockerfile."""
    site.write_app(dockerfile="FORM scratch\n")
    failed_handover(site)
    site.write_app()
    return f"from {site.source}"


def full_disk(site: Site) -> str:
    """Fill the engine's disk while it builds a large image."""
    site.write_app(megabytes=20)
    with site.full_disk():
        failed_handover(site)
    return f"from {site.source}"


def set_the_clock(site: Site) -> str:
    """Move the clock by an hour or a day during a handover, which must succeed; then set it right again."""
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
    """Stop the git host, perhaps during a fetch."""
    use_source(site, GIT)
    site.write_app(megabytes=5)
    mark = site.mark()
    site.daemon.hup()
    time.sleep(site.chance.uniform(0, 0.3))
    site.git_host.kill()
    outcome = site.handover_after(mark)["outcome"]
    site.git_host.start()
    return str(outcome)


def registry_vanishes(site: Site) -> str:
    """Stop the registry, perhaps during a pull."""
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
    """Stop hookbot during a handover that it has triggered; its next message must arrive."""
    use_source(site, FOLDER)
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


def use_source(site: Site, source: str) -> None:
    """Restart hanoverd with this source, unless it runs with it."""
    if site.source != source:
        site.stop()
        site.start(source)
        site.wait_until_recovered()
    if source == FOLDER:
        site.wait_until_subscribed()


def failed_handover(site: Site) -> None:
    """Do a handover that fails; the live version stays."""
    mark = site.mark()
    site.daemon.hup()
    assert site.handover_after(mark)["outcome"] == FAILED


def no_longer_live(site: Site, name: str) -> None:
    """Wait until hanoverd has noticed the exit of a version."""

    def is_noticed() -> bool:
        status = site.status()
        return status is not None and (status["live"] or {}).get("version") != name

    wait_for(is_noticed, f"the end of {name} is noticed")


def storm(site: Site, chance: random.Random) -> None:
    """Send triggers for about two seconds, while hanoverd runs."""
    daemon = site.daemon
    for _ in range(30):
        if daemon.has_ended:
            return
        # A process that has only just started is killed by SIGHUP, until it has a handler for it.
        if daemon.handles(signal.SIGHUP):
            daemon.hup()
        time.sleep(chance.uniform(0, 0.15))
