"""The build contexts that Docker's own client sends, for comparison.

usage: python -m tests.lab.contexts > tests/unit/docker/contexts.json

records which files it sends for many ignore files, to be compared without it.
"""

from __future__ import annotations

import io
import json
import os
import random
import socketserver
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

FILES = (
    *(
        "Dockerfile",
        "README.md",
        "Readme.MD",
        "main.py",
        "x.txt",
        "a/x.txt",
        "a/b/x.txt",
        "a/b/c/keep.txt",
        "a/keep.txt",
    ),
    *(
        "b/x.txt",
        "b/ab",
        "b/^a",
        "foo",
        "xfoo",
        "d/foo",
        "d/[x]",
        "d/x!y",
        "node_modules/m/index.js",
        "b/node_modules/n.js",
    ),
    *("e.d/f", "e+d/f", "dir with space/f", "#hash", "a.b.c", "aéb"),
)

IGNORES = (
    "",
    "# only a comment\n\n   \n",
    "\ufeff*.txt\n",
    "  *.md  \n",
    "*\n!a\n",
    "*\n!a/b\n",
    "*\n!a/b/c/keep.txt\n",
    "**\n!**/keep.txt\n",
    "a\n!a/keep.txt\n",
    "a/*\n!a/b\n",
    "a/**\n!a/b/c\n",
    "**/x.txt\n",
    "**/node_modules\n",
    "**/foo\n",
    "a**\n",
    "a/**/x.txt\n",
    "a**/x.txt\n",
    "*/x.txt\n!a\na/x.txt\n",
    "!README.md\n*.md\n",
    "*.md\n!README.md\n",
    "readme.md\n",
    "b/[^a]*\n",
    "b/[!a]*\n",
    "b/[a-c]*\n",
    "d/\\[x\\]\n",
    "d/x\\!y\n",
    "/a\n",
    "./a/../b\n",
    "a/\n",
    "e.d\n",
    "dir with space\n",
    "\\#hash\n",
    " #hash\n",
    "a?b*\n",
    "Dockerfile\n.dockerignore\n",
    "?oo\n",
    ".\n",
    "..\n",
    "/\n",
    "!a\n",
)

#: In which clients older than 23 differ.
QUIRKS = ("e+d\n", "**foo\n", "**foo*\n", "**.txt\n!**keep.txt\n")

PARTS = (
    "*",
    "**",
    "a",
    "b",
    "c",
    "x.txt",
    "*.txt",
    "keep.txt",
    "foo",
    "?",
    "[ab]",
    "[^a]",
    "*o*",
    "node_modules",
    "d",
    "..",
)


def write_files(folder: Path) -> None:
    """A folder with names of all sorts."""
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    os.link(folder / "a/x.txt", folder / "hard")
    (folder / "link").symlink_to("a")
    (folder / "b" / "empty").mkdir()


def dockers_context(folder: Path, docker_socket: Path) -> dict[str, object]:
    """The entries of the tar that ``docker build`` makes of a folder."""
    with recorder(docker_socket) as recorded:
        environ = {**os.environ, "DOCKER_HOST": f"unix://{docker_socket}", "DOCKER_BUILDKIT": "0"}
        done = subprocess.run(
            ["docker", "build", "."], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
    if not recorded:
        raise RuntimeError(done.stderr)
    return entries(recorded[0])


def entries(content: bytes) -> dict[str, object]:
    """What counts of a tar."""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {
            entry.name.rstrip("/"): (
                entry.type if not entry.islnk() else tarfile.REGTYPE,
                entry.mode & 0o7777,
                entry.uid,
                entry.gid,
                entry.linkname if entry.issym() else "",
            )
            for entry in tar
        }


@contextmanager
def recorder(path: Path) -> Iterator[list[bytes]]:
    """An engine that only keeps the contexts that it is sent."""
    recorded: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Api-Version", "1.41")
            self.send_header("Content-Length", "2")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"{}")

        def do_POST(self) -> None:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            recorded.append(body)
            self.do_GET()

    path.unlink(missing_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield recorded
        finally:
            server.shutdown()
            thread.join()


def random_ignore_files(count: int) -> Iterator[str]:
    """Always the same ones."""
    chance = random.Random(20261123)
    for _ in range(count):
        lines = []
        for _ in range(chance.randint(1, 5)):
            parts = [chance.choice(PARTS) for _ in range(chance.randint(1, 3))]
            lines.append(chance.choice(["", "", "!"]) + chance.choice(["", "", "/", "./"]) + "/".join(parts))
        yield "\n".join(lines) + "\n"


def main() -> None:
    """Record."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        app = Path(name, "app")
        app.mkdir()
        write_files(app)
        for ignore in (*IGNORES, *QUIRKS, *random_ignore_files(200)):
            (app / ".dockerignore").write_text(ignore)
            try:
                found[ignore] = sorted(dockers_context(app, Path(name, "docker.sock")))
            except RuntimeError:
                continue  # It takes "!/" for an error, and says so.
    print(json.dumps(found, indent=0))


if __name__ == "__main__":
    main()
