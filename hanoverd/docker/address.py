"""Where the Docker engine is, read from the environment as Docker's own client reads it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hanoverd.runtime.errors import EngineMisconfigured

DEFAULT_URL = "unix:///var/run/docker.sock"


@dataclass(frozen=True)
class TLS:
    """The certificates to speak TLS with: the authority's, ours and its key, and whether to verify the engine."""

    ca: Path | None
    cert: Path | None
    key: Path | None
    verify: bool


@dataclass(frozen=True)
class EngineAddress:
    """How to reach an engine; ``origin`` names the setting that said so, for messages."""

    url: str
    tls: TLS | None
    origin: str

    def __str__(self) -> str:
        return f"{self.url} ({self.origin})"


def engine_address(environ: Mapping[str, str]) -> EngineAddress:
    """Find the engine: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of DOCKER_CONFIG, else the
    default socket, in the order of https://docs.docker.com/engine/manage-resources/contexts/.

    Fails with ``EngineMisconfigured`` for a context that does not exist or cannot be read.
    """
    config_folder = Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME") or "/") / ".docker")
    if host := environ.get("DOCKER_HOST"):
        tls = _tls_from(environ, config_folder)
        return EngineAddress(_checked(host, "DOCKER_HOST", tls), tls, "from DOCKER_HOST")
    if name := environ.get("DOCKER_CONTEXT"):
        origin = f"the context {name} of DOCKER_CONTEXT"
    else:
        name = _current_context(config_folder)
        origin = f"the current context {name} of {config_folder / 'config.json'}"
    if name == "default":
        return EngineAddress(DEFAULT_URL, _tls_from(environ, config_folder), "the default: DOCKER_HOST is not set")
    return _context(config_folder, name, origin)


def _current_context(config_folder: Path) -> str:
    try:
        config = json.loads((config_folder / "config.json").read_text())
    except (OSError, ValueError):
        # Docker's client warns of a bad file and goes on without it.
        return "default"
    return (isinstance(config, dict) and config.get("currentContext")) or "default"


def _context(config_folder: Path, name: str, origin: str) -> EngineAddress:
    # A context lives in folders that are named by the digest of its name.
    digest = hashlib.sha256(name.encode()).hexdigest()
    file = config_folder / "contexts" / "meta" / digest / "meta.json"
    try:
        endpoint: dict[str, Any] = json.loads(file.read_text())["Endpoints"]["docker"]
        url = endpoint["Host"]
    except FileNotFoundError:
        raise EngineMisconfigured(
            f"{origin} does not exist ({file} is missing): `docker context ls` lists those that do"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineMisconfigured(f"{origin} cannot be read from {file}: {error!r}") from None
    certificates = config_folder / "contexts" / "tls" / digest / "docker"
    tls = None
    if certificates.is_dir():
        tls = _certificates(certificates, verify=not endpoint.get("SkipTLSVerify"))
    return EngineAddress(_checked(url, origin, tls), tls, origin)


def _tls_from(environ: Mapping[str, str], config_folder: Path) -> TLS | None:
    # Any value but the empty one switches it on, `0` too: so does Docker's client.
    if not environ.get("DOCKER_TLS_VERIFY"):
        return None
    return _certificates(Path(environ.get("DOCKER_CERT_PATH") or config_folder), verify=True)


def _certificates(folder: Path, *, verify: bool) -> TLS:
    def there(name: str) -> Path | None:
        return folder / name if (folder / name).is_file() else None

    if there("cert.pem") and not there("key.pem"):
        raise EngineMisconfigured(f"{folder} holds cert.pem, and no key.pem that belongs to it")
    return TLS(there("ca.pem"), there("cert.pem"), there("key.pem"), verify)


def _checked(url: str, origin: str, tls: TLS | None) -> str:
    if url.startswith("unix://"):
        return url
    if url.startswith("tcp://"):
        host = url.removeprefix("tcp://").rstrip("/")
        # As Docker's client completes it.
        return url if host.rpartition(":")[2].isdigit() else f"tcp://{host}:{2375 if tls is None else 2376}"
    raise EngineMisconfigured(
        f"{origin} says {url!r}: an engine is reached by unix:///PATH or tcp://HOST:PORT; it must run on this "
        "machine, whose firewall leads traffic to its containers"
    )
