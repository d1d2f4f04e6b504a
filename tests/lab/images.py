"""The images of the lab: a base with Python, made from this machine's own, and folders to build apps from."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab.host import Lab

BASE = "hanoverd-lab/python:latest"

_PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).with_name("server.py")

#: Parts of the standard library that the app under test does not need.
_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|ensurepip|lib2to3|tkinter|turtledemo|pydoc_data|distutils|config-[^/]*|dist-packages|__pycache__)(/|$)"
)


def import_base(lab: Lab) -> None:
    """Import ``BASE`` into the lab's engine, without a registry."""
    status, body = lab.docker("POST", "/images/create?fromSrc=-&repo=hanoverd-lab/python&tag=latest", _base_tar())
    if status != 200 or b"error" in body:
        raise RuntimeError(f"the base image could not be imported: {status} {body!r}")


def write_app(
    folder: Path, *, version: str = "1", expose: Sequence[int] = (80,), env: Mapping[str, str] | None = None
) -> None:
    """Write a folder that builds the app under test; the app prints ``version``."""
    lines = [f"FROM {BASE}", "COPY server.py /server.py", f"ENV VERSION={json.dumps(version)}"]
    lines += [f"ENV {name}={json.dumps(value)}" for name, value in (env or {}).items()]
    lines += [f"EXPOSE {port}" for port in expose]
    lines += ['CMD ["python3", "-S", "-E", "/server.py"]']
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    (folder / "server.py").write_bytes(_SERVER.read_bytes())


def _base_tar() -> bytes:
    binary = os.path.realpath(_PYTHON)
    described = subprocess.run(
        [_PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    library = Path(described.stdout.strip())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("tmp", "proc", "sys", "dev", "etc", "bin"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
        tar.add(binary, "usr/bin/python3")
        tar.add(os.path.realpath("/bin/busybox"), "bin/busybox")
        _link(tar, "bin/sh", "busybox")
        _link(tar, "bin/python3", "/usr/bin/python3")
        shared = shared_libraries([binary, *map(str, (library / "lib-dynload").glob("*.so"))])
        # glibc loads this library by itself at the end of a thread.
        shared += [str(path) for path in Path("/lib").glob("*/libgcc_s.so.1")]
        for needed in shared:
            tar.add(os.path.realpath(needed), needed.lstrip("/"))
        for path in sorted(library.rglob("*")):
            if path.is_file() and not _LEFT_OUT.search(str(path)):
                tar.add(path, str(path).lstrip("/"))
    return buffer.getvalue()


def shared_libraries(files: Sequence[str]) -> list[str]:
    """Return the libraries that these programs and libraries are linked with."""
    printed = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
    return sorted(set(re.findall(r"(/\S+) \(0x", printed)))


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, target
    tar.addfile(link)
