"""Somebody meddles with the live version, or with its rules, while hanoverd looks, or does not."""

from __future__ import annotations

import json
import subprocess

from tests.faults.site import Site, wait_for


def second_network(site: Site) -> str:
    """The live version is connected to another network, of a name before or after the first's, and hanoverd started again:
    it goes on serving.
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
        site.become_right()
    finally:
        # Of the container that it was, perhaps.
        site.lab.docker("POST", f"/networks/{network}/disconnect", {"Container": name, "Force": True})
        site.lab.docker("DELETE", f"/networks/{network}")
    return f"{network}, {'killed' if is_killed else 'stopped'}"


def rename(site: Site) -> str:
    """The live version has another name, and is replaced."""
    name = site.live()
    _ask(site, f"/containers/{name}/rename?name=renamed-{site.chance.randrange(10**6)}")
    site.hand_over()
    return ""


def flush_while_away(site: Site) -> str:
    """No rules are left when hanoverd comes again: the version that served serves again, long before a new one could, and
    from then on no request fails.
    """
    name = site.live()
    with site.load.off():
        site.daemon.kill()
        subprocess.run(site.lab.in_host(["iptables", "--wait", "5", "-t", "nat", "-F"]), check=True)
        site.write_app(READY_AFTER="3")
        site.start()
        answers: list[str] = []
        wait_for(lambda: _note_answer(site, answers), "some version answers")
        assert answers == [name], f"{answers[0]} answers first, and {name} was live"
    site.become_right()
    site.write_app()
    return f"from {site.source}"


def _note_answer(site: Site, answers: list[str]) -> bool:
    try:
        answers.append(site.answering())
    except ConnectionError:
        return False
    return True


def _ask(site: Site, path: str, body: object = None) -> None:
    status, answer = site.lab.docker("POST", path, body)
    assert status < 300, f"POST {path} {json.dumps(body)}: {status} {answer!r}"
