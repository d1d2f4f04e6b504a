"""Faults by hostile peers: each server that hanoverd talks to, the app and a hook misbehave, while the live version serves.

In each, hanoverd's memory must not grow by more than ``MOST_GROWTH``, its log must have neither tracebacks nor control
characters, and the next good handover must succeed.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.memory import forget_peak, peak
from tests.faults.peers import archive, git, hookbot, http, registry
from tests.faults.site import ARCHIVE, ARCHIVE_PORT, FOLDER, GIT, GIT_PORT, REGISTRY_PORT, Helper, Site, wait_for
from tests.faults.words import APP, FAILED, WENT_LIVE
from tests.lab.daemon import HOOKBOT_PORT, PROJECT
from tests.lab.images import BASE

#: By how much the memory of hanoverd may grow during a fault, in MiB.
MOST_GROWTH = 64

#: How long hanoverd may take to obtain an image, and an app to become ready.
_LIMITS = ("--obtain-timeout", "8s", "--status-timeout", "10s")

#: How long a handover that a peer spoils may take, in seconds.
_ENDS_WITHIN = 60

#: For how long a peer misbehaves where no handover waits for it, in seconds.
_A_WHILE = 4

#: How long hanoverd may take to connect to a hookbot again, in seconds: it waits longer after each failure.
_CONNECTED_WITHIN = 60

_NOTIFY_PORT = 8071

#: Characters that change what a terminal shows, or that start a line for some programs.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@contextmanager
def hostile(site: Site, kind: str, port: int, behaviour: str, **env: str) -> Iterator[None]:
    """Run a hostile server, and check hanoverd at the end."""
    command = (sys.executable, "-m", f"tests.faults.peers.{kind}", str(port), behaviour)
    peer = Helper(site.lab, port, *command, env={"PYTHONPATH": str(PROJECT), **env})
    peer.start()
    try:
        with watched(site):
            yield
    finally:
        peer.kill()


@contextmanager
def watched(site: Site) -> Iterator[None]:
    """Measure hanoverd's memory meanwhile, and check it and the log at the end."""
    pid, logged = site.daemon.pid, len(site.daemon.log())
    before = forget_peak(pid)
    yield
    site.growth.append(peak(pid) - before)
    assert site.growth[-1] < MOST_GROWTH, f"hanoverd's memory grew by {site.growth[-1]:.0f} MiB"
    log = site.daemon.log()[logged:]
    assert "Traceback" not in log, "there is a traceback in the log"
    found = _CONTROL.search(log)
    assert found is None, f"a control character is in the log: {log[found.start() - 40 : found.start() + 40]!r}"


def run_with(site: Site, source: str, *options: str) -> None:
    """Restart hanoverd with this source and these options, unless it runs with them."""
    wanted = (*_LIMITS, *options)
    if (site.source, site.options) != (source, wanted):
        site.stop()
        site.start(source, *wanted)
        site.wait_until_recovered()


def spoiled_handover(site: Site, trigger: Callable[[], object] | None = None, outcome: str = FAILED) -> None:
    """Do a handover that must end in this way, and in time."""
    mark = site.mark()
    (trigger or site.daemon.hup)()
    record = site.handover_after(mark, within=_ENDS_WITHIN)
    assert record["outcome"] == outcome, f"{record['outcome']}: {record}"


def git_host(behaviour: str, site: Site) -> str:
    """A git host misbehaves at a fetch; it must not have a file removed that git did not create."""
    run_with(site, GIT)
    repository = next(site.state.glob("mirrors/**/repository"))
    canary = repository.parents[1] / "index.lock"
    canary.touch()
    os.utime(canary, (0, 0))
    site.git_host.kill()
    with hostile(site, "git", GIT_PORT, behaviour, CANARY=f"{repository}/../../index.lock"):
        spoiled_handover(site)
    assert canary.exists(), "the host has removed a file"
    canary.unlink()
    site.git_host.start()
    site.hand_over()
    return ""


def image_registry(behaviour: str, site: Site) -> str:
    """A registry misbehaves at a pull."""
    run_with(site, FOLDER)
    site.registry.kill()
    name = f"127.0.0.1:{REGISTRY_PORT}/app:hostile"
    with hostile(site, "registry", REGISTRY_PORT, behaviour, PORT=str(REGISTRY_PORT)):
        spoiled_handover(site, lambda: deploy(site, name))
    site.registry.start()
    name = site.push_image(megabytes=0)
    spoiled_handover(site, lambda: deploy(site, name), WENT_LIVE)
    return ""


def archive_server(behaviour: str, site: Site) -> str:
    """A server of archives misbehaves at a download."""
    run_with(site, ARCHIVE)
    with hostile(site, "archive", ARCHIVE_PORT, behaviour):
        spoiled_handover(site)
    folder = site.save_image().parent
    serve = (sys.executable, "-m", "http.server", "--bind=127.0.0.1", f"--directory={folder}", str(ARCHIVE_PORT))
    good = Helper(site.lab, ARCHIVE_PORT, *serve)
    good.start()
    try:
        spoiled_handover(site, outcome=WENT_LIVE)
    finally:
        good.kill()
    run_with(site, FOLDER)
    return ""


def hookbot_server(behaviour: str, site: Site) -> str:
    """A hookbot misbehaves for a while; a message of a good one must arrive afterwards."""
    run_with(site, FOLDER)
    site.wait_until_subscribed()
    site.hookbot.kill()
    with hostile(site, "hookbot", HOOKBOT_PORT, behaviour):
        time.sleep(_A_WHILE)
    site.hookbot.start()
    site.wait_until_recovered()
    mark = site.mark()
    site.write_app()

    def is_announced() -> bool:
        # What is published before hanoverd has subscribed again is lost.
        site.publish()
        time.sleep(1)
        return any("hookbot" in record["trigger"] for record in site.handovers() if record["id"] > mark)

    wait_for(is_announced, "a message of the good hookbot", _CONNECTED_WITHIN)
    site.handover_after(mark, lambda record: record["outcome"] == WENT_LIVE)
    return ""


def webhook(behaviour: str, site: Site) -> str:
    """The receiver of notifications misbehaves during a handover, and for a while."""
    run_with(site, FOLDER, "--notify", f"http://127.0.0.1:{_NOTIFY_PORT}/secret")
    with hostile(site, "http", _NOTIFY_PORT, behaviour):
        site.hand_over()
        time.sleep(_A_WHILE)
    run_with(site, FOLDER)
    site.hand_over()
    return ""


def hook(command: str, site: Site) -> str:
    """A hook misbehaves during a handover, and for a while."""
    run_with(site, FOLDER, "--hook", command)
    with watched(site):
        site.hand_over()
        time.sleep(_A_WHILE)
    run_with(site, FOLDER)
    site.hand_over()
    return ""


def unready_app(behaviour: str, site: Site) -> str:
    """A new version misbehaves when it is asked whether it is ready."""
    lines = [f'ENV PORT=80 BEHAVIOUR="{behaviour}"', "EXPOSE 80", 'CMD ["python3", "-S", "-E", "/server.py"]']
    return _app(site, lines, FAILED, server=Path(http.__file__))


def app_that_fails(command: str, site: Site) -> str:
    """A new version prints something, and is not ready."""
    return _app(site, ["EXPOSE 80", f'CMD ["sh", "-c", {command!r}]'.replace("'", '"')], FAILED)


def app_that_serves(command: str, site: Site) -> str:
    """A new version that serves prints something without end."""
    line = f"{command} & exec python3 -S -E /server.py"
    return _app(site, ["EXPOSE 80", f'CMD ["sh", "-c", "{line}"]'], WENT_LIVE)


def many_ports(site: Site) -> str:
    """A new version exposes all ports."""
    return _app(site, ["EXPOSE 1-65535", 'CMD ["python3", "-S", "-E", "/server.py"]'], WENT_LIVE)


def _app(site: Site, lines: Sequence[str], outcome: str, server: Path | None = None) -> str:
    run_with(site, FOLDER)
    site.write_app(dockerfile="\n".join([f"FROM {BASE}", "COPY server.py ballast /", *lines, ""]))
    if server is not None:
        (site.folder / "server.py").write_bytes(server.read_bytes())
    with watched(site):
        spoiled_handover(site, outcome=outcome)
        if outcome == WENT_LIVE:
            time.sleep(_A_WHILE)
    site.hand_over()
    return ""


def deploy(site: Site, image: str) -> None:
    """Start a handover to an image."""
    deployed = site.command("deploy", APP, "--image", image)
    assert deployed.returncode == 0, deployed.stderr


_ESCAPES = r"printf '\\033[2J\\033]0;owned\\007\\r\\v\\f\\342\\200\\250\\302\\233x'"

#: What an app prints: at most a few MB/s, so that the engine's disk can hold it.
_OUTPUT = {
    "lines": "while :; do head -c 200000 /dev/zero | tr '\\\\0' '\\\\n'; usleep 50000; done",
    "no line ends": "while :; do head -c 200000 /dev/zero | tr '\\\\0' x; usleep 50000; done",
    "escape sequences": f"while :; do {_ESCAPES}; usleep 1000; done",
}

_HOOKS = {
    "64 MiB without line ends": "ready=head -c 67108864 /dev/zero | tr '\\0' x",
    "64 MiB of line ends": "ready=head -c 4194304 /dev/zero | tr '\\0' '\\n'",
    "endless garbage": "live=cat /dev/urandom",
    "escape sequences": "ready=printf '\\033[2J\\007\\r\\v\\342\\200\\250x'",
}

HOSTILITIES = (
    *(Fault(f"git host: {name}", partial(git_host, name)) for name in git.BEHAVIOURS),
    *(Fault(f"registry: {name}", partial(image_registry, name)) for name in registry.BEHAVIOURS),
    *(Fault(f"archive server: {name}", partial(archive_server, name)) for name in archive.BEHAVIOURS),
    *(Fault(f"hookbot: {name}", partial(hookbot_server, name)) for name in hookbot.BEHAVIOURS),
    *(Fault(f"webhook: {name}", partial(webhook, name)) for name in (*http.BEHAVIOURS, *http.SUCCESSES)),
    *(Fault(f"hook: {name}", partial(hook, command)) for name, command in _HOOKS.items()),
    *(Fault(f"app: {name}", partial(unready_app, name)) for name in http.BEHAVIOURS),
    *(Fault(f"app that serves: {name}", partial(app_that_serves, text)) for name, text in _OUTPUT.items()),
    *(Fault(f"app that is not ready: {name}", partial(app_that_fails, text)) for name, text in _OUTPUT.items()),
    Fault("app: all ports exposed", many_ports),
)
