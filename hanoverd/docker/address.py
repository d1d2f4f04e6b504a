"""The address of the Docker engine, from the same environment variables and files as Docker's client."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanoverd.docker.config import config_folder
from hanoverd.runtime.errors import EngineMisconfigured

DEFAULT_URL = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class TLS:
    """The files for TLS: the authority's certificate, the client's certificate and key; ``verify`` checks the engine's."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    verify: bool


@dataclass(frozen=True)
class EngineAddress:
    """The address of an engine; ``origin`` names the setting that it comes from, for messages."""

    url: str
    tls: TLS | None
    origin: str

    def __str__(self) -> str:
        return f"{self.url} ({self.origin})"


def engine_address(environ: Mapping[str, str]) -> EngineAddress:
    """Return the address of the engine: from DOCKER_HOST, DOCKER_CONTEXT, the current context of Docker's configuration, or
    the default socket, in this order (https://docs.docker.com/engine/manage-resources/contexts/).

    Fails with ``EngineMisconfigured`` for a context that does not exist or cannot be read.
    """
    folder = config_folder(environ)
    if host := environ.get("DOCKER_HOST"):
        tls = _tls_from(environ, folder)
        return EngineAddress(_checked(host, "DOCKER_HOST", tls), tls, "from DOCKER_HOST")
    if name := environ.get("DOCKER_CONTEXT"):
        origin = f"the context {name} of DOCKER_CONTEXT"
    else:
        name = _current_context(folder)
        origin = f"the current context {name} of {folder / 'config.json'}"
    if name == "default":
        return EngineAddress(DEFAULT_URL, _tls_from(environ, folder), "the default: DOCKER_HOST is not set")
    return _context(folder, name, origin)


def _current_context(folder: Path) -> str:
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError):
        # Docker's client ignores a bad file, with a warning.
        return "default"
    return (isinstance(config, dict) and config.get("currentContext")) or "default"


def _context(folder: Path, name: str, origin: str) -> EngineAddress:
    # The folders of a context are named by the digest of its name.
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = folder / "contexts" / "meta" / digest / "meta.json"
    try:
        endpoint: dict[str, Any] = json.loads(file.read_text())["Endpoints"]["docker"]
        url = endpoint["Host"]
    except FileNotFoundError:
        raise EngineMisconfigured(
            f"{origin} does not exist ({file} is missing): `docker context ls` lists all contexts"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineMisconfigured(f"{origin} cannot be read from {file}: {error!r}") from None
    certificates = folder / "contexts" / "tls" / digest / "docker"
    tls = None
    if certificates.is_dir():
        tls = _certificates(certificates, verify=not endpoint.get("SkipTLSVerify"))
    return EngineAddress(_checked(url, origin, tls), tls, origin)


def _tls_from(environ: Mapping[str, str], folder: Path) -> TLS | None:
    # Any value but the empty string turns it on, even "0", as in Docker's client.
    if not environ.get("DOCKER_TLS_VERIFY"):
        return None
    return _certificates(Path(environ.get("DOCKER_CERT_PATH") or folder), verify=True)


def _certificates(folder: Path, *, verify: bool) -> TLS:
    def find(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    if find("cert.pem") and not find("key.pem"):
        raise EngineMisconfigured(f"{folder} has a cert.pem, but no key.pem for it")
    return TLS(find("ca.pem"), find("cert.pem"), find("key.pem"), verify)


def _checked(url: str, origin: str, tls: TLS | None) -> str:
    if url.startswith("unix://"):
        return url
    if url.startswith("tcp://"):
        host = url.removeprefix("tcp://").rstrip("/")
        # Docker's client has the same default ports.
        return url if host.rpartition(":")[2].isdigit() else f"tcp://{host}:{2375 if tls is None else 2376}"
    raise EngineMisconfigured(
        f"{origin}: {url!r} is not supported: use unix:///PATH or tcp://HOST:PORT of an engine on this host, whose "
        "firewall routes traffic to the containers"
    )
