"""A real registry on the loopback interface of the lab's first host."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.host import Lab

_CONFIGURATION = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: {address}}}
"""


@contextmanager
def registry(lab: Lab, folder: Path) -> Iterator[str]:
    """Serve a registry that keeps its images in ``folder``; gives its address."""
    address = "127.0.0.1:5000"
    folder.mkdir()
    configuration = folder / "config.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "images", address=address))
    process = subprocess.Popen(
        lab.in_host(["docker-registry", "serve", str(configuration)]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while subprocess.run(
            lab.in_host(["curl", "-sf", f"http://{address}/v2/"]), capture_output=True, check=False
        ).returncode:
            assert process.poll() is None, "the registry has ended"
            assert time.monotonic() < deadline, "the registry did not come up"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
