"""Options that limit what a container uses, judged by the cgroups and the limits of its process."""

from __future__ import annotations

from pathlib import Path

from tests.integration.asking import ask, refused
from tests.integration.conftest import StartDaemon
from tests.integration.test_docker_options import Process
from tests.lab.events import contains
from tests.lab.host import Lab

MIB = 1024**2

#: Options and, in cgroups of version 2 and of version 1, the controller, the file and what it has.
LIMITS = (
    (("--memory", "64m"), ("memory", "memory.max", "memory.limit_in_bytes"), (64 * MIB, 64 * MIB)),
    # Version 2 counts swap alone, version 1 memory and swap together.
    (("--memory-swap", "96m"), ("memory", "memory.swap.max", "memory.memsw.limit_in_bytes"), (32 * MIB, 96 * MIB)),
    (("--memory-reservation", "32m"), ("memory", "memory.low", "memory.soft_limit_in_bytes"), (32 * MIB, 32 * MIB)),
    (("--cpu-period", "50000", "--cpu-quota", "25000"), ("cpu", "cpu.max", "cpu.cfs_quota_us"), ("25000 50000", 25000)),
    # The weight that runc makes of 512 shares.
    (("--cpu-shares", "512"), ("cpu", "cpu.weight", "cpu.shares"), (20, 512)),
    (("--cpuset-cpus", "0"), ("cpuset", "cpuset.cpus", "cpuset.cpus"), (0, 0)),
    (("--cpuset-mems", "0"), ("cpuset", "cpuset.mems", "cpuset.mems"), (0, 0)),
    (("--pids-limit", "30"), ("pids", "pids.max", "pids.max"), (30, 30)),
    (
        ("--device-write-bps", "/dev/loop0:1mb"),
        ("blkio", "io.max", "blkio.throttle.write_bps_device"),
        ("7:0 rbps=max wbps=1048576 riops=100 wiops=max", "7:0 1048576"),
    ),
    (
        ("--device-read-iops", "/dev/loop0:100"),
        ("blkio", "io.max", "blkio.throttle.read_iops_device"),
        ("7:0 rbps=max wbps=1048576 riops=100 wiops=max", "7:0 100"),
    ),
)

IS_UNIFIED = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def test_the_process_of_each_version_has_the_limits(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    options = [word for words, _, _ in LIMITS for word in words]
    more = ("--ulimit", "core=0", "--ulimit", "nofile=300:400", "--cgroup-parent", "/hanoverd-test")
    line = ("-p", "8080:80", "--name", "limits", "--memory-swappiness", "10", *options, *more)
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("limits-0")
        hanoverd.hup()
        hanoverd.wait_live("limits-1")
        process = Process(lab, "limits-1")
        found = {words: process.limit(*files) for words, files, _ in LIMITS}
        assert found == {words: str(has[0 if IS_UNIFIED else 1]) for words, _, has in LIMITS}
        if not IS_UNIFIED:
            # Version 2 has no such file: the engine ignores the option there.
            assert process.limit("memory", "", "memory.swappiness") == "10"
        assert "/hanoverd-test/" in (process.folder / "cgroup").read_text()
        limits = (process.folder / "limits").read_text().splitlines()
        assert [line.split()[4:6] for line in limits if line.startswith("Max core file size")] == [["0", "0"]]
        assert [line.split()[3:5] for line in limits if line.startswith("Max open files")] == [["300", "400"]]
        assert hanoverd.terminate() == 0


def test_a_new_version_that_runs_out_of_memory_fails_and_the_old_one_keeps_serving(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    line = ("-p", "8080:80", "--name", "web", "--memory", "48m", "--memory-swap", "48m")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        dockerfile = app_folder / "Dockerfile"
        dockerfile.write_text(f"{dockerfile.read_text()}ENV ALLOCATE=200\n")
        hanoverd.hup()
        error = hanoverd.wait_event("failed")["error"]
        assert error.startswith(
            "exited with code 137 (out of memory: raise its memory limit, or reduce its memory use) before it was ready"
        )
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").startswith("web-0")
        assert hanoverd.terminate() == 0


def test_a_live_version_that_runs_out_of_memory_is_restarted_as_restart_says(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    url = f"http://{lab.host_ip}:8080"
    line = ("-p", "8080:80", "--name", "web", "--memory", "48m", "--memory-swap", "48m", "--restart", "on-failure:1")
    with daemon(*line, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        assert refused_by_death(lab, f"{url}/allocate?200")
        exited = hanoverd.wait_event("exited", version="web-0", reason=contains("out of memory"))
        assert exited["code"] == 137
        hanoverd.wait_live("web-1")
        assert ask(lab.in_client, f"{url}/").startswith("web-1")

        # The second time is one time too many.
        assert refused_by_death(lab, f"{url}/allocate?200")
        exited = hanoverd.wait_event("exited", version="web-1", reason=contains("out of memory"))
        assert exited["restart_seconds"] is None
        assert refused(lab.in_client, f"{url}/")
        assert hanoverd.terminate() == 0


def refused_by_death(lab: Lab, url: str) -> bool:
    """Whether a request gets no answer, because it kills what it asks."""
    try:
        ask(lab.in_client, url, 20)
    except ConnectionError:
        return True
    return False
