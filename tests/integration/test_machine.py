"""The units under a real systemd: start, reload, restart, kill and stop under load, confined as the units say."""

from __future__ import annotations

import base64
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, refused
from tests.lab.certificates import write_certificates
from tests.lab.clients import Clients
from tests.lab.daemon import GITHUB_SECRET, HOOKBOT_KEY, hookbot_url
from tests.lab.git import PASSWORD as GIT_PASSWORD
from tests.lab.git import USER as GIT_USER
from tests.lab.git import Repository, https_host, ssh_host
from tests.lab.host import Lab
from tests.lab.images import write_app
from tests.lab.machine import Machine
from tests.lab.registry import PASSWORD, USER, registry

UNIT, BUILDER, WEB = "hanoverd@shop", "hanoverd-builder@shop", "hanoverd-web"

#: Where the unit may write.
CIDFILE = "/run/hanoverd/shop.cid"


@pytest.fixture(scope="module")
def machine(lab_of_the_run: Lab) -> Iterator[Machine]:
    """A machine with systemd on the lab's first host."""
    with Machine(lab_of_the_run) as booted:
        yield booted


@pytest.fixture
def repository(lab: Lab, machine: Machine, tmp_path: Path) -> Iterator[tuple[Repository, str]]:
    """The app's repository on a host that serves it by ssh, and its URL; the machine has the key."""
    with ssh_host(tmp_path / "hosted", prefixed=lab.in_host) as host:
        for name in ("user", "known_hosts"):
            machine.write(f"/etc/hanoverd/keys/{name}", (tmp_path / "hosted-ssh" / name).read_text())
        repository = Repository(tmp_path / "work", tmp_path / "hosted" / "me" / "shop")
        yield repository, f"ssh://root@{host.name}{repository.bare}"


def push(repository: Repository, version: str, *, works: bool = True) -> None:
    """Push a version of the app."""
    # Needs BuildKit.
    write_app(repository.work, version=version, env=None if works else {"STATUS": "500"})
    with (repository.work / "Dockerfile").open("a") as file:
        file.write("RUN --mount=type=tmpfs,target=/scratch echo built > /scratch/file\n")
    repository.commit({})


def environment_file(variables: Mapping[str, str]) -> str:
    """Return the text of an EnvironmentFile."""
    return "".join(f"{name}={value}\n" for name, value in variables.items())


def test_the_app_serves_through_all_that_systemd_does_to_hanoverd(
    lab: Lab, machine: Machine, repository: tuple[Repository, str]
) -> None:
    source, url = repository
    push(source, "one")
    ssh = "ssh -i /etc/hanoverd/keys/user -o IdentitiesOnly=yes -o UserKnownHostsFile=/etc/hanoverd/keys/known_hosts"
    machine.write("/etc/systemd/system/notify-ops.service", "[Service]\nExecStart=/bin/touch /run/notified\n", 0o644)
    hook = shlex.quote(_HOOK)
    options = f"--publish 8080:80 --cidfile {CIDFILE} --status-timeout 10s --hook {hook} {url}"
    machine.write("/etc/hanoverd/shop.env", environment_file({"OPTIONS": options, "GIT_SSH_COMMAND": ssh}))
    machine.must_run("systemctl", "start", UNIT)
    try:
        serves(lab, "one")
        is_confined(machine)
        is_shown(machine)
        clients = Clients(lab.in_client, lab.host_ip, "8080", "--workers", "4", "--pause", "0.01")
        push(source, "two")
        machine.must_run("systemctl", "reload", UNIT)
        serves(lab, "two")
        is_named(lab, machine)

        push(source, "broken", works=False)
        assert machine.run("systemctl", "reload", UNIT).returncode != 0
        assert machine.state(UNIT) == "active"

        machine.must_run("systemctl", "restart", UNIT)
        push(source, "three")
        machine.must_run("systemctl", "reload", UNIT)
        serves(lab, "three")
        is_named(lab, machine)

        killed = machine.main_pid(UNIT)
        machine.must_run("kill", "-9", str(killed))
        machine.wait(lambda: machine.main_pid(UNIT) not in (0, killed) and machine.state(UNIT) == "active", "restarted")
        push(source, "four")
        machine.must_run("systemctl", "reload", UNIT)
        serves(lab, "four")
        is_named(lab, machine)

        machine.must_run("systemctl", "stop", UNIT)
        assert machine.state(UNIT) == "inactive"
        serves(lab, "four")
        is_named(lab, machine)
        counted = clients.finish()
        print(f"{counted['requests']} requests, {counted['failed']} failed")
        assert (counted["failed"], counted["cut"], counted["errors"]) == (0, 0, [])
        assert counted["ok"] > 1000
        assert "keeps serving without hanoverd (--on-exit keep); `hanoverd stop shop` stops it" in machine.journal()
    finally:
        machine.must_run("systemctl", "stop", WEB)
        machine.must_run("/opt/hanoverd/bin/hanoverd", "stop", "shop")
    assert refused(lab.in_client, f"http://{lab.host_ip}:8080/")
    assert not re.search(_FAULTS, machine.journal())


def serves(lab: Lab, version: str) -> None:
    """Wait until this version of the app serves."""

    def is_served() -> bool:
        try:
            return ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[1] == version
        except ConnectionError:
            return False

    eventually(is_served)


def is_named(lab: Lab, machine: Machine) -> None:
    """Check that the cidfile has the ID of the container that serves."""
    serving = ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[0]
    status, found = lab.docker("GET", f"/containers/{serving}/json")
    assert status == 200
    assert machine.must_run("cat", CIDFILE) == json.loads(found)["Id"]


def is_shown(machine: Machine) -> None:
    """Check that the page, which may do nothing but ask, shows the app and its metrics, and takes a new token."""
    machine.write("/etc/hanoverd/web.env", environment_file({"OPTIONS": "--allow-actions --login"}))
    token = (
        machine.must_run("/opt/hanoverd/bin/hanoverd", "web", "--new-token").split("not shown again: ")[1].split()[0]
    )
    machine.must_run("systemctl", "start", WEB)
    bearer = f"Authorization: Bearer {token}"
    ask_page = ("curl", "--silent", "--header", bearer, "http://127.0.0.1:8900/metrics")
    machine.wait(lambda: 'hanoverd_app_up{app="shop"} 1.0' in machine.run(*ask_page).stdout, "shown on the page")
    status = machine.must_run("cat", f"/proc/{machine.main_pid(WEB)}/status")
    assert f"CapEff:\t{0:016x}" in status
    assert token not in machine.journal()


def is_confined(machine: Machine) -> None:
    """Check what hanoverd may do, and that a hook may do nothing more than root's files allow."""
    status = machine.must_run("cat", f"/proc/{machine.main_pid(UNIT)}/status")
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    # CAP_DAC_READ_SEARCH, CAP_SETPCAP, CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW of linux/capability.h.
    assert f"CapEff:\t{sum(1 << bit for bit in (2, 8, 10, 12, 13)):016x}" in status
    machine.wait_journal("CapAmb")
    printed = re.findall(r"hook live: (Cap\w+:\s*\w+)", machine.journal())
    assert [line.split()[1] for line in printed] == ["0" * 16] * 5
    machine.wait_journal("hook live: as documented")
    machine.must_run("test", "-e", "/run/notified")
    mode = machine.must_run("stat", "--format=%a", "/var/lib/hanoverd", "/var/lib/hanoverd/shop")
    assert mode.split() == ["700", "700"]


def test_a_push_is_built_and_pushed_by_the_units_of_the_builder_and_of_hookbot(
    lab: Lab, machine: Machine, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "work", tmp_path / "hosted" / "me" / "shop")
    push(repository, "one")
    write_certificates(tmp_path / "tls")
    for name in ("ca", "server-cert", "server-key"):
        machine.write(f"/etc/letsencrypt/{name}.pem", (tmp_path / "tls" / f"{name}.pem").read_text())
    with (
        https_host(tmp_path / "hosted", login=True, prefixed=lab.in_host) as host,
        registry(lab, tmp_path / "registry", login=True) as address,
    ):
        authority = Path(host.environ["GIT_SSL_CAINFO"]).read_text()
        machine.write("/root/git-authority.pem", authority)
        machine.write("/root/.gitconfig", _GIT_CONFIG.format(host=host.name))
        machine.write("/root/.git-credentials", f"https://{GIT_USER}:{GIT_PASSWORD}@{host.name}\n")
        login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        machine.write("/root/.docker/config.json", json.dumps({"auths": {address: {"auth": login}}}))
        image = f"docker-pull/{address}/me/shop/tag/main"
        secrets = {"HOOKBOT_KEY": HOOKBOT_KEY, "HOOKBOT_GITHUB_SECRET": GITHUB_SECRET}
        machine.write("/etc/hanoverd/hookbot.env", environment_file(secrets))
        machine.write("/etc/systemd/system/hanoverd-hookbot.service.d/tls.conf", _TLS)
        variables = {
            "HOOKBOT_MONITOR_URL": hookbot_url("/sub/github.com/repo/me/shop/branch/main", "wss", 443),
            "HOOKBOT_DOCKER_NOTIFY_URL": hookbot_url(f"/pub/{image}", "https", 443),
            "OPTIONS": "--hookbot-ca /etc/letsencrypt/ca.pem",
        }
        machine.write("/etc/hanoverd/builder-shop.env", environment_file(variables))
        machine.must_run("systemctl", "daemon-reload")
        machine.must_run("systemctl", "start", "hanoverd-hookbot")
        try:
            machine.wait_journal("hookbot: listening at")
            machine.must_run("systemctl", "start", BUILDER)
            machine.wait_journal("builder: pushed")
            machine.must_run("systemctl", "reload", BUILDER)
            machine.wait_journal("builder: pushed", times=2)
            status = machine.must_run("cat", f"/proc/{machine.main_pid('hanoverd-hookbot')}/status")
            # CAP_NET_BIND_SERVICE of linux/capability.h.
            assert f"CapEff:\t{1 << 10:016x}" in status
            assert "Uid:\t0" not in status
            status = machine.must_run("cat", f"/proc/{machine.main_pid(BUILDER)}/status")
            assert f"CapEff:\t{0:016x}" in status
        finally:
            machine.must_run("systemctl", "stop", "hanoverd-hookbot", BUILDER)
        assert not re.search(_FAULTS, machine.journal())


#: What docs/control.rst says of hooks: what they can use, and what not.
_HOOK = """\
live=grep ^Cap /proc/self/status; docker ps --quiet >/dev/null && systemctl start notify-ops && \
! touch "$HOME/x" 2>/dev/null && ! iptables -L >/dev/null 2>&1 && ! runuser -u nobody true 2>/dev/null && \
echo as documented"""

_GIT_CONFIG = """\
[url "https://{host}/"]
    insteadOf = https://github.com/
[http]
    sslCAInfo = /root/git-authority.pem
[credential]
    helper = store
"""

_TLS = """\
[Service]
LoadCredential=cert.pem:/etc/letsencrypt/server-cert.pem
LoadCredential=key.pem:/etc/letsencrypt/server-key.pem
Environment="TLS=--bind :443 --tls-cert %d/cert.pem --tls-key %d/key.pem"
"""

#: What a unit that allows too little would bring into the journal.
_FAULTS = "Traceback|Read-only file system|Operation not permitted|Permission denied|Unable to write"
