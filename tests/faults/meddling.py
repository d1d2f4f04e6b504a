"""Faults of people and other programs, who change the live version's container or its rules."""

from __future__ import annotations

import json
import subprocess

from tests.faults.site import Site, wait_for


def second_network(site: Site) -> str:
    """The live version is connected to a second network, and hanoverd is restarted: it adopts the version.

    The network's name sorts before or after that of the first network.
    """
    network = site.note = site.chance.choice(("a-second", "z-second"))
    name = site.live()
    _ask(site, "/networks/create", {"Name": network})
    try:
        _ask(site, f"/networks/{network}/connect", {"Container": name})
        if is_killed := site.chance.random() < 0.5:
            site.daemon.kill()
        else:
            site.stop()
        site.start()
        site.wait_until_recovered()
    finally:
        # The container may be gone by now.
        site.lab.docker("POST", f"/networks/{network}/disconnect", {"Container": name, "Force": True})
        site.lab.docker("DELETE", f"/networks/{network}")
    return f"{network}, {'killed' if is_killed else 'stopped'}"


def rename(site: Site) -> str:
    """The live version's container is renamed, and then replaced."""
    name = site.live()
    _ask(site, f"/containers/{name}/rename?name=renamed-{site.chance.randrange(10**6)}")
    site.hand_over()
    return ""


def flush_while_away(site: Site) -> str:
    """The rules are flushed while hanoverd does not run: at its start it finds the version that served, and routes to it.

    That happens before the new version can be ready, and no request fails from then on.
    """
    name = site.live()
    with site.load.off():
        site.daemon.kill()
        subprocess.run(site.lab.in_host(["iptables", "--wait", "5", "-t", "nat", "-F"]), check=True)
        site.write_app(READY_AFTER="3")
        site.start()
        answers: list[str] = []
        wait_for(lambda: _record_answer(site, answers), "some version answers")
        assert answers == [name], f"{answers[0]} answers first, and {name} was live"
    site.wait_until_recovered()
    site.write_app()
    return f"from {site.source}"


def _record_answer(site: Site, answers: list[str]) -> bool:
    try:
        answers.append(site.answering())
    except ConnectionError:
        return False
    return True


def _ask(site: Site, path: str, body: object = None) -> None:
    status, answer = site.lab.docker("POST", path, body)
    assert status < 300, f"POST {path} {json.dumps(body)}: {status} {answer!r}"
