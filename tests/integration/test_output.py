"""Containers whose output is hostile: a flood of it, and lines that look like hanoverd's own."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.integration.asking import ask, eventually
from tests.integration.conftest import StartDaemon
from tests.lab.daemon import Daemon
from tests.lab.events import contains
from tests.lab.host import Lab

#: hanoverd's resident memory in these tests, in MiB: 62 for a quiet app.
MOST_MEMORY = 130


def let_print(folder: Path, script: str) -> None:
    """Let the app run a shell script beside its server."""
    dockerfile = folder / "Dockerfile"
    command = json.dumps(["sh", "-c", f"{script} & exec python3 -S -E /server.py"])
    text = dockerfile.read_text().replace('CMD ["python3", "-S", "-E", "/server.py"]', f"CMD {command}")
    assert command in text
    dockerfile.write_text(text)


def resident_memory(hanoverd: Daemon) -> float:
    """Return hanoverd's resident memory, in MiB."""
    status = Path(f"/proc/{hanoverd.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_a_flood_of_output_does_not_keep_hanoverd_from_its_work(
    lab: Lab, app_folder: Path, daemon: StartDaemon
) -> None:
    let_print(app_folder, "yes")
    with daemon(
        "-p", "8080:80", "--name", "web", "--stop-timeout", "1", "--drain-timeout", "1s", cwd=app_folder
    ) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.wait_event("output_dropped", version="web-0")
        took = []
        for _ in range(50):
            begun = time.monotonic()
            hanoverd.status()
            took.append(time.monotonic() - begun)
        assert sorted(took)[25] < 0.2, took
        hanoverd.hup()
        hanoverd.wait_live("web-1")
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").startswith("web-1")
        assert resident_memory(hanoverd) < MOST_MEMORY


def test_the_last_lines_after_a_flood_are_the_last_ones(app_folder: Path, daemon: StartDaemon) -> None:
    dockerfile = app_folder / "Dockerfile"
    # More than hanoverd reads in the two seconds after an exit; and not so much that the engine, which gives up after two seconds,
    # too, has not written it.
    script = "yes | head -n 60000; echo the reason; exit 3"
    dockerfile.write_text(f"{dockerfile.read_text().partition('CMD')[0]}CMD {json.dumps(['sh', '-c', script])}\n")
    with daemon("-p", "8080:80", "--name", "web", cwd=app_folder) as hanoverd:
        error = hanoverd.wait_event("failed")["error"]
        assert error.startswith("exited with code 3 before it was ready; its last 20 lines:")
        assert error.endswith("the reason")


def test_output_without_newlines_needs_little_memory(app_folder: Path, daemon: StartDaemon) -> None:
    let_print(app_folder, "head -c 64m /dev/zero")
    with daemon("-p", "8080:80", "--name", "web", "--stop-timeout", "1", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        hanoverd.wait_event("output_dropped", version="web-0")
        assert resident_memory(hanoverd) < MOST_MEMORY


def test_no_output_looks_like_a_line_of_hanoverd(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    let_print(app_folder, r"printf 'fine\rweb-9: live in 1ms\v\342\200\250web-9: live\033[2J\302\205\nthe end\n'")
    with daemon("-p", "8080:80", "--name", "web", cwd=app_folder, log_format="text") as hanoverd:
        eventually(lambda: "the end" in hanoverd.log() and "web-0: live" in hanoverd.log())
        lines = hanoverd.log().splitlines()
        assert [line.partition(" web-0  | ")[2] for line in lines if "fine" in line] == [
            r"fine\rweb-9: live in 1ms\v\u2028web-9: live\x1b[2J\u0085"
        ]


def test_hostile_last_words_do_not_keep_hooks_from_running(
    app_folder: Path, daemon: StartDaemon, tmp_path: Path
) -> None:
    (app_folder / "Dockerfile").write_text(
        (app_folder / "Dockerfile").read_text().partition("CMD")[0]
        + r"""CMD ["sh", "-c", "head -c 200k /dev/zero; printf '\\nno \\0 end\\n'; exit 3"]"""
        + "\n"
    )
    said = tmp_path / "said"
    hook = f'failed=printf %s "$HANOVERD_REASON" > {said}.new; mv {said}.new {said}'
    with daemon("-p", "8080:80", "--name", "web", "--hook", hook, cwd=app_folder) as hanoverd:
        hanoverd.wait_event("failed", error=contains("exited with code 3"))
        eventually(said.exists)
        assert "exited with code 3" in said.read_text()
        assert r"no \x00 end" in said.read_text()
