"""Options of a container's process and of its log, judged by the process."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.asking import hostname
from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import Process, inspect
from tests.lab.host import Lab


def children(process: Process) -> list[Path]:
    """The child processes, as folders of the host's /proc."""
    text = (process.folder / "task" / str(process.id) / "children").read_text()
    return [Path("/proc", child) for child in text.split()]


def namespace(kind: str, process: str = "self") -> Path:
    """The namespace of a process."""
    return Path("/proc", process, "ns", kind).readlink()


def test_entrypoint_init_groups_terminal_labels_and_log_options(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    (tmp_path / "labels").write_text("tier=front\nteam=other\nalone\n")
    line = (
        *("-p", "8080:80", "--name", "web", "--init", "-ti", "--group-add", "4321", "--group-add", "1234"),
        *("--hostname", "shop", "--domainname", "example.test", "--label", "team=shop", "--label-file"),
        *(str(tmp_path / "labels"), "--log-driver", "json-file"),
        *("--log-opt", "max-size=1m", "--log-opt", "labels=team,tier", "--entrypoint", "/bin/python3"),
        *("@", "-S", "-E", "/server.py", "one more"),
    )
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        process = Process(lab, "web-0")
        assert (process.folder / "comm").read_text() == "docker-init\n"
        [app] = children(process)
        assert (app / "cmdline").read_text().split("\0")[:5] == ["/bin/python3", "-S", "-E", "/server.py", "one more"]
        [groups] = [line for line in (app / "status").read_text().splitlines() if line.startswith("Groups:")]
        assert {"1234", "4321"} <= set(groups.split())
        assert [(app / "fd" / number).readlink() for number in "012"] == [Path("/dev/pts/0")] * 3
        assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "shop"
        assert "\tshop.example.test shop" in process.file("/etc/hosts")
        entries = [json.loads(line) for line in Path(str(inspect(lab, "web-0")["LogPath"])).read_text().splitlines()]
        assert entries[0]["attrs"] == {"team": "shop", "tier": "front"}
        assert entries[0]["log"].endswith("\r\n")
        assert hanoverd.terminate() == 0


def test_standard_input_stays_open_only_if_it_is_asked_for(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    for options, target in (((), "/dev/null"), (("--interactive",), "pipe:")):
        with daemon("-p", "8080:80", "--name", "web", *options, cwd=app_folder) as hanoverd:
            name = str(hanoverd.wait_event("live")["version"])
            assert str((Process(lab, name).folder / "fd/0").readlink()).startswith(target)
            assert hanoverd.terminate() == 0


def test_the_stop_signal_is_sent_and_the_stop_timeout_kills(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    # The app only prints that it has received the signal.
    dockerfile = app_folder / "Dockerfile"
    dockerfile.write_text(f"{dockerfile.read_text()}ENV DRAIN_SIGNAL=SIGUSR2\n")
    line = ("-p", "8080:80", "--name", "web", "--stop-signal", "USR2", "--stop-timeout", "2", "--drain-timeout", "0")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.hup()
        stopped = hanoverd.wait_event("stopped", version="web-0")
        hanoverd.wait_event("output", version="web-0", line="drain signal SIGUSR2")
        assert 2 <= stopped["seconds"] < 8
        hanoverd.wait_event("kept", version="web-0")
        state = inspect(lab, "web-0-kept")["State"]
        assert state["ExitCode"] == 128 + 9
        assert hanoverd.terminate() == 0


#: What the app does before it serves: each success leaves a file.
ATTEMPTS = {
    "made": "mkdir /tmp/folder",
    "read": ": </dev/disk",
    "written": ": >/dev/disk",
    "read-more": "mknod /dev/more b 7 1 && : </dev/more",
}


def let_try(app_folder: Path) -> None:
    """Have the app try ``ATTEMPTS`` before it serves."""
    tries = "; ".join(f"({attempt}) && touch /tmp/{name}" for name, attempt in ATTEMPTS.items())
    dockerfile = app_folder / "Dockerfile"
    command = json.dumps(["sh", "-c", f"{tries}; exec python3 -S -E /server.py"])
    dockerfile.write_text(f"{dockerfile.read_text().partition('CMD')[0]}CMD {command}\n")


def in_tmp(process: Process) -> set[str]:
    """The files that the attempts have left."""
    return {name for name in ATTEMPTS if (process.folder / "root/tmp" / name).exists()}


def hidden(process: Process) -> set[str]:
    """Those of the kernel's files that something is mounted over."""
    mounted = {line.split()[1] for line in (process.folder / "mounts").read_text().splitlines()}
    return {"/proc/keys", "/proc/sys", "/sys/firmware"} & mounted


def test_namespaces_of_the_host_devices_and_security_profiles(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    profile = tmp_path / "profile.json"
    refusal = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refusal]}))
    let_try(app_folder)
    line = (
        *("-p", "8080:80", "--name", "web", "--security-opt", f"seccomp={profile}"),
        *("--security-opt", "systempaths=unconfined", "--device", "/dev/loop0:/dev/disk:r"),
        *("--device-cgroup-rule", "b 7:1 r", "--pid", "host", "--ipc", "host", "--uts", "host"),
        *("--cgroupns", "private", "--userns", "host"),
    )
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        process = Process(lab, "web-0")
        assert in_tmp(process) == {"read", "read-more"}
        assert hidden(process) == set()
        found = {kind: namespace(kind, str(process.id)) for kind in ("pid", "ipc", "uts", "user", "cgroup")}
        of_host = {kind: namespace(kind) for kind in found}
        assert found.pop("cgroup") != of_host.pop("cgroup")
        assert found == of_host
        assert hanoverd.terminate() == 0


def test_without_these_options_a_container_is_confined(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    let_try(app_folder)
    with daemon("-p", "8080:80", "--name", "web", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        process = Process(lab, "web-0")
        # The file /dev/disk is an ordinary one, which writing has made.
        assert in_tmp(process) == {"made", "written"}
        assert hidden(process) == {"/proc/keys", "/proc/sys", "/sys/firmware"}
        assert not any(namespace(kind, str(process.id)) == namespace(kind) for kind in ("pid", "ipc", "uts"))
        assert hanoverd.terminate() == 0
