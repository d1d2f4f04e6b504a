"""A real registry on the loopback interface of the lab's first host."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bcrypt

from tests.lab.certificates import write_certificates
from tests.lab.host import Lab

_CONFIGURATION = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: {address}{tls}}}
{auth}
"""

USER, PASSWORD = "me", "a secret"


@contextmanager
def registry(lab: Lab, folder: Path, *, port: int = 5000, login: bool = False, tls: bool = False) -> Iterator[str]:
    """Run a registry that stores its images in ``folder``, for everyone or for USER only; yield its address."""
    address = f"127.0.0.1:{port}"
    folder.mkdir()
    configuration = folder / "config.yml"
    certificates = auth = ""
    if tls:
        write_certificates(folder / "tls")
        names = (folder / "tls" / "server-cert.pem", folder / "tls" / "server-key.pem")
        certificates = f", tls: {{certificate: {names[0]}, key: {names[1]}}}"
    if login:
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{USER}:{hashed}\n")
        auth = f"auth: {{htpasswd: {{realm: lab, path: {folder / 'htpasswd'}}}}}"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder / "images", address=address, tls=certificates, auth=auth)
    )
    process = subprocess.Popen(
        lab.in_host(["docker-registry", "serve", str(configuration)]),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"{'https' if tls else 'http'}://{address}/v2/"
    try:
        deadline = time.monotonic() + 60
        # 401 is an answer too.
        while subprocess.run(lab.in_host(["curl", "-sk", url]), capture_output=True, check=False).returncode:
            assert process.poll() is None, "the registry has ended"
            assert time.monotonic() < deadline, "the registry did not come up"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait()
