"""Repositories, and hosts that serve them: git http-backend behind HTTPS, and OpenSSH's server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.certificates import write_certificates

_SERVER = Path(__file__).with_name("git_server.py")

USER, PASSWORD = "me", "secret"

_IDENTITY = {
    "GIT_AUTHOR_NAME": "lab",
    "GIT_AUTHOR_EMAIL": "lab@localhost",
    "GIT_COMMITTER_NAME": "lab",
    "GIT_COMMITTER_EMAIL": "lab@localhost",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "HOME": "/nowhere",
}


class Repository:
    """A work tree from which a test commits and pushes to a bare repository."""

    def __init__(self, work: Path, bare: Path) -> None:
        self.work = work
        self.bare = bare
        bare.parent.mkdir(parents=True, exist_ok=True)
        run("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
        run("init", "--quiet", "--initial-branch=main", str(work))
        self.git("remote", "add", "origin", str(bare))

    def git(self, *arguments: str) -> str:
        """Run git in the work tree."""
        return run("-C", str(self.work), *arguments)

    def commit(self, files: Mapping[str, str], *, branch: str = "main", tag: str | None = None) -> str:
        """Commit these files on a branch, push it, and return the commit."""
        if branch != self.git("branch", "--show-current"):
            self.git("checkout", "--quiet", "-B", branch)
        for name, content in files.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        if tag:
            self.git("tag", "--annotate", tag, "--message", tag)
        self.git("push", "--quiet", "--force", "--tags", "origin", branch)
        return self.git("rev-parse", "HEAD")


@dataclass(frozen=True)
class Host:
    """A server on loopback: its port, its repositories, and the environment in which git trusts it."""

    port: int
    folder: Path
    environ: Mapping[str, str]

    @property
    def name(self) -> str:
        """The host in the name of a source."""
        return f"127.0.0.1:{self.port}"


def run(*arguments: str) -> str:
    """Run git with the lab's identity; return its output."""
    command = ["git", "-c", "protocol.file.allow=always", *arguments]
    done = subprocess.run(command, env={**os.environ, **_IDENTITY}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


@contextmanager
def https_host(
    folder: Path, *, login: bool = False, prefixed: Callable[[list[str]], list[str]] = list
) -> Iterator[Host]:
    """Serve the repositories in ``folder``, to everyone or to USER only, on the host of ``prefixed``."""
    folder.mkdir(parents=True, exist_ok=True)
    tls = folder.with_name(f"{folder.name}-tls")
    write_certificates(tls)
    command = [sys.executable, str(_SERVER), str(folder), str(tls / "server-cert.pem"), str(tls / "server-key.pem")]
    command += [f"{USER}:{PASSWORD}"] if login else []
    process = subprocess.Popen(prefixed(command), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield Host(int(process.stdout.readline()), folder, {"GIT_SSL_CAINFO": str(tls / "ca.pem")})
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def ssh_host(folder: Path, *, prefixed: Callable[[list[str]], list[str]] = list) -> Iterator[Host]:
    """Serve the repositories in ``folder`` by ssh, to clients with the key of GIT_SSH_COMMAND, on the host of ``prefixed``."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = folder.with_name(f"{folder.name}-ssh")
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    shutil.copy(keys / "user.pub", keys / "authorized_keys")
    port = _free_port()
    (keys / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {keys}/authorized_keys\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        "UsePAM no\nPermitRootLogin prohibit-password\n"
    )
    (keys / "known_hosts").write_text(f"[127.0.0.1]:{port} {(keys / 'host.pub').read_text()}")
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    process = subprocess.Popen(
        prefixed(["/usr/sbin/sshd", "-D", "-e", "-f", str(keys / "sshd_config")]),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    command = f"ssh -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile={keys}/known_hosts -i {keys}/user"
    try:
        deadline = time.monotonic() + 60
        scan = prefixed(["ssh-keyscan", "-p", str(port), "127.0.0.1"])
        while subprocess.run(scan, capture_output=True, check=False).stdout == b"":
            assert time.monotonic() < deadline, "sshd did not come up"
            time.sleep(0.1)
        yield Host(port, folder, {"GIT_SSH_COMMAND": command})
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port
