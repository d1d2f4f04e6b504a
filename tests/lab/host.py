"""The lab's two hosts, and the engine on the first one."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lab.api import call, get_json
from tests.lab.engine import PrivateEngine

_counter = itertools.count()

#: The program for the rules of each family.
PROGRAMS = ("iptables", "ip6tables")


class Lab:
    """Two fresh network namespaces, ``host`` with a private engine and ``client``, joined by a veth pair."""

    host_ip = "10.203.0.1"
    client_ip = "10.203.0.2"
    host_ip6 = "fd00:203::1"
    client_ip6 = "fd00:203::2"

    def __init__(self, *engine_options: str) -> None:
        number = next(_counter)
        self.host = f"hanoverd-{os.getpid()}-{number}-host"
        self.client = f"hanoverd-{os.getpid()}-{number}-client"
        self.folder = Path(tempfile.mkdtemp(prefix="hanoverd-lab-"))
        # Open to all users: tests run hanoverd as other users too.
        self.folder.chmod(0o755)
        #: Where hanoverd creates its control sockets.
        self.runtime = self.folder / "run"
        self.runtime.mkdir()
        self.runtime.chmod(0o1777)
        #: Where they remember the numbers of versions.
        self.state = self.folder / "state"
        self.state.mkdir()
        self.state.chmod(0o1777)
        self.engine = PrivateEngine(self.host, self.folder / "engine", *engine_options)
        #: What the engine's start added to the tables ``nat`` of both families.
        self._engine_rules: dict[str, list[str]] = {}

    def start(self) -> None:
        """Create the namespaces and start the engine; if that fails, everything is removed."""
        try:
            self._make_hosts()
            self.engine.start()
            self._engine_rules = {program: self._nat_rules(program) for program in PROGRAMS}
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop and remove everything; idempotent."""
        self.engine.stop()
        for namespace in (self.host, self.client):
            if Path("/run/netns", namespace).exists():
                _run("ip", "netns", "delete", namespace)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def docker_host(self) -> str:
        """The engine's address for DOCKER_HOST."""
        return f"unix://{self.engine.socket}"

    def in_host(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` on the host with the engine."""
        # With the signals of a fresh shell: nohup, and a shell's "&", have what they start ignore some.
        return ["nsenter", f"--net=/run/netns/{self.host}", "env", "--default-signal", *argv]

    def in_client(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs ``argv`` on the other host."""
        return ["nsenter", f"--net=/run/netns/{self.client}", *argv]

    def docker(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request to the engine."""
        return call(self.engine.socket, method, path, body, headers=headers)

    def containers(self, app: str | None = None) -> list[dict[str, Any]]:
        """Return hanoverd's containers, running or not: all of them, or those of one app without the kept ones."""
        label = "orchestrator=hanoverd" if app is None else f"hanoverd.app={app}"
        filters = '{"label":["' + label + '"]}'
        found: list[dict[str, Any]] = get_json(self.engine.socket, f"/containers/json?all=1&filters={_quoted(filters)}")
        return found if app is None else [one for one in found if not one["Names"][0].endswith("-kept")]

    def kept(self) -> list[str]:
        """Return the names of the containers that are kept for a rollback."""
        found = [str(container["Names"][0]).lstrip("/") for container in self.containers()]
        return sorted(name for name in found if name.endswith("-kept"))

    def forget_numbers(self) -> None:
        """Have the versions of every app counted from 0 again."""
        for file in self.state.iterdir():
            if file.is_dir():
                shutil.rmtree(file)
            else:
                file.unlink()

    def image_ids(self) -> set[str]:
        """Return the IDs of the engine's images, without intermediate ones."""
        return {image["Id"] for image in get_json(self.engine.socket, "/images/json")}

    def iptables_save(self) -> str:
        """Return the nat table of the host with the engine."""
        return _run(*self.in_host(["iptables-save", "-t", "nat"]))

    def rules(self) -> list[str]:
        """Return the lines of hanoverd in all tables of both families, each after its family and table."""
        found = []
        for program in PROGRAMS:
            for table in ("nat", "filter"):
                saved = _run(*self.in_host([f"{program}-save", "-t", table]))
                found += [f"{program} {table} {line}" for line in saved.splitlines() if "hanoverd" in line.lower()]
        return found

    def remove_rules(self, rules: Sequence[str]) -> None:
        """Remove lines of ``rules``."""
        by_table: dict[tuple[str, str], list[str]] = {}
        for rule in rules:
            program, table, line = rule.split(" ", 2)
            by_table.setdefault((program, table), []).append(line)
        for (program, table), lines in by_table.items():
            chains = [line.split()[0].removeprefix(":") for line in lines if line.startswith(":")]
            jumps = [line.replace("-A", "-D", 1) for line in lines if not line.startswith((":", "-A HANOVERD"))]
            changes = [*(f":{one} - [0:0]" for one in chains), *jumps, *(f"-X {one}" for one in chains)]
            text = "\n".join([f"*{table}", *changes, "COMMIT", ""])
            _run(*self.in_host([f"{program}-restore", "--noflush"]), stdin=text)

    def restore_engine_rules(self) -> None:
        """Restore the engine's own rules where a test flushed them: the engine adds them at its start only.

        Without them, the answers to containers in other networks are dropped from Docker 28 on.
        """
        for program, rules in self._engine_rules.items():
            present = self._nat_rules(program)
            for rule in rules:
                if rule not in present:
                    _run(*self.in_host([program, "-t", "nat", *rule.split()]))

    def _nat_rules(self, program: str) -> list[str]:
        saved = _run(*self.in_host([f"{program}-save", "-t", "nat"]))
        return [line for line in saved.splitlines() if line.startswith("-A")]

    def in_container(self, name: str) -> Callable[[list[str]], list[str]]:
        """Return how a command is run in the network namespace of a container."""
        pid = get_json(self.engine.socket, f"/containers/{name}/json")["State"]["Pid"]
        return lambda argv: ["nsenter", f"--net=/proc/{pid}/ns/net", *argv]

    def _make_hosts(self) -> None:
        for namespace in (self.host, self.client):
            _run("ip", "netns", "add", namespace)
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
        # A veth pair joins the two; the names of its ends exist in the namespaces only.
        _run("ip", "-n", self.host, "link", "add", "lab0", "type", "veth", "peer", "name", "lab0", "netns", self.client)
        for namespace, address, address6 in (
            (self.host, self.host_ip, self.host_ip6),
            (self.client, self.client_ip, self.client_ip6),
        ):
            _run("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", "lab0")
            # Without the check that no other host has it, which takes a second.
            _run("ip", "-n", namespace, "address", "add", f"{address6}/64", "dev", "lab0", "nodad")
            _run("ip", "-n", namespace, "link", "set", "lab0", "up")


@contextmanager
def other_lab(*engine_options: str) -> Iterator[Lab]:
    """Run a second lab, for an engine with other settings."""
    lab = Lab(*engine_options)
    lab.start()
    try:
        yield lab
    finally:
        lab.stop()


def _run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: exit status {done.returncode}: {done.stderr}")
    return done.stdout


def _quoted(text: str) -> str:
    return "".join(character if character.isalnum() else f"%{ord(character):02X}" for character in text)
