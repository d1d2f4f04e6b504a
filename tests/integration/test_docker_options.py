"""Options of docker run, judged by what the running container shows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.asking import ask, hostname
from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab

OPTIONS = (
    *("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--user", "65534:65534", "--workdir", "/tmp"),
    *("--read-only", "--tmpfs", "/scratch:size=1m", "--shm-size", "8m", "--ulimit", "nofile=512:1024"),
    *("--cap-drop", "ALL", "--cap-add", "net_bind_service", "--security-opt", "no-new-privileges"),
    *("--hostname", "shop", "--add-host", "db=10.9.8.7", "--dns", "10.9.8.6", "--dns-search", "example.test"),
    *(
        "--dns-option",
        "ndots:3",
        "--sysctl",
        "net.core.somaxconn=321",
        "--label",
        "team=shop",
        "--oom-score-adj",
        "123",
    ),
)


def inspect(lab: Lab, name: str) -> dict[str, dict[str, object]]:
    """The engine's description of a container."""
    status, body = lab.docker("GET", f"/containers/{name}/json")
    assert status == 200
    found: dict[str, dict[str, object]] = json.loads(body)
    return found


class Process:
    """The main process of a container, as the host's /proc shows it."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.id = inspect(lab, name)["State"]["Pid"]
        self.folder = Path(f"/proc/{self.id}")

    def status(self, field: str) -> list[str]:
        """A line of its status."""
        [line] = [line for line in (self.folder / "status").read_text().splitlines() if line.startswith(f"{field}:")]
        return line.split()[1:]

    def file(self, path: str) -> str:
        """A file in the container."""
        return (self.folder / "root" / path.lstrip("/")).read_text()

    def mount(self, path: str) -> str:
        """The options of the mount at a path."""
        [line] = [line for line in (self.folder / "mounts").read_text().splitlines() if line.split()[1] == path]
        return line

    def limit(self, controller: str, new: str, old: str) -> str:
        """The content of a file of its cgroup: ``new`` is its name in cgroups of version 2, ``old`` in version 1."""
        for line in (self.folder / "cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "":
                folder = Path("/sys/fs/cgroup" + path)
                if (folder / new).exists():
                    return (folder / new).read_text().strip()
            elif controller in controllers.split(","):
                return (Path("/sys/fs/cgroup", controller + path) / old).read_text().strip()
        raise AssertionError(f"no cgroup of {controller}")

    def environment(self) -> list[str]:
        """Its variables."""
        return (self.folder / "environ").read_bytes().decode().split("\0")


def test_the_running_container_has_what_the_options_ask_for(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    variables = tmp_path / "variables"
    variables.write_text("COLOUR=red\nSIZE=1\n")
    line = ("-p", "8080:80", "--name", "opts", *OPTIONS, "--env-file", str(variables), "-e", "SIZE=2")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("opts-0")
        process = Process(lab, "opts-0")
        assert process.limit("memory", "memory.max", "memory.limit_in_bytes") == str(64 * 1024**2)
        assert process.limit("pids", "pids.max", "pids.max") == "50"
        assert process.status("Uid") == ["65534"] * 4
        assert process.status("CapBnd") == [f"{1 << 10:016x}"]  # CAP_NET_BIND_SERVICE
        assert process.status("NoNewPrivs") == ["1"]
        assert (process.folder / "cwd").readlink() == Path("/tmp")
        assert " ro," in process.mount("/")
        assert "size=1024k" in process.mount("/scratch")
        assert "size=8192k" in process.mount("/dev/shm")
        assert next(
            line.split()[3:5] for line in (process.folder / "limits").read_text().splitlines() if "open files" in line
        ) == ["512", "1024"]
        assert "10.9.8.7\tdb" in process.file("/etc/hosts")
        assert {"nameserver 10.9.8.6", "search example.test", "options ndots:3"} <= set(
            process.file("/etc/resolv.conf").splitlines()
        )
        assert process.file("/etc/hostname") == "shop\n"
        assert (process.folder / "oom_score_adj").read_text() == "123\n"
        somaxconn = subprocess.run(
            ["nsenter", f"--net=/proc/{process.id}/ns/net", "cat", "/proc/sys/net/core/somaxconn"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert somaxconn.stdout == "321\n"
        labels = inspect(lab, "opts-0")["Config"]["Labels"]
        assert isinstance(labels, dict)
        assert labels["team"] == "shop"
        assert {"COLOUR=red", "SIZE=2"} <= set(process.environment())

        # The file is read again for the next version.
        variables.write_text("COLOUR=blue\n")
        hanoverd.hup()
        hanoverd.wait_live("opts-1")
        assert {"COLOUR=blue", "SIZE=2"} <= set(Process(lab, "opts-1").environment())

        # A file that is wrong then fails the handover, and nothing else.
        variables.write_text("NO NAME=1\n")
        hanoverd.hup()
        failed = hanoverd.wait_event("failed")
        assert "variable 'NO NAME' contains whitespaces" in failed["error"]
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/") != ""
        assert hanoverd.terminate() == 0


@contextmanager
def network(lab: Lab, name: str, subnet: str) -> Iterator[None]:
    """A network of the engine."""
    body = {"Name": name, "IPAM": {"Config": [{"Subnet": subnet}]}}
    status, answer = lab.docker("POST", "/networks/create", body)
    assert status == 201, answer
    try:
        yield
    finally:
        lab.docker("DELETE", f"/networks/{name}")


def test_an_app_is_handed_over_on_a_network_of_its_own(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with network(lab, "backend", "10.77.0.0/24"):
        line = (
            "-p",
            "8080:80",
            "--name",
            "inner",
            "--network",
            "backend",
            "--network-alias",
            "app",
            "--on-exit",
            "keep",
        )
        with daemon(*line, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("inner-0")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "inner-0"
            hanoverd.hup()
            hanoverd.wait_live("inner-1")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "inner-1"
            networks = inspect(lab, "inner-1")["NetworkSettings"]["Networks"]
            assert isinstance(networks, dict)
            assert [*networks] == ["backend"]
            assert "app" in networks["backend"]["Aliases"]
            hanoverd.wait_gone("inner-0")
            assert hanoverd.terminate() == 0
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "inner-1"
        with daemon(*line[:-2], cwd=app_folder) as hanoverd:
            hanoverd.wait_event("adopted")
            hanoverd.wait_live("inner-2")
            assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "inner-2"
            assert hanoverd.terminate() == 0
