"""The proxies of Docker's client configuration, which docker run passes to containers as environment variables."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hanoverd.docker.address import engine_address
from hanoverd.docker.config import config_folder
from hanoverd.runtime.errors import EngineMisconfigured

#: The variables by the keys of config.json (https://docs.docker.com/engine/cli/proxy/).
_VARIABLES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def proxy_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for the proxies of the engine in use, else of ``default``, in both cases.

    A configuration that is missing, or damaged, has none.
    """
    try:
        config = json.loads((config_folder(environ) / "config.json").read_bytes())
        address = engine_address(environ).url
    except (OSError, ValueError, EngineMisconfigured):
        return {}
    proxies = config.get("proxies") if isinstance(config, dict) else None
    if not isinstance(proxies, dict):
        return {}
    chosen = proxies.get(address, proxies.get("default"))
    if not isinstance(chosen, dict):
        return {}
    variables: dict[str, str] = {}
    for key, name in _VARIABLES.items():
        value = chosen.get(key)
        if isinstance(value, str) and value:
            variables |= {name: value, name.lower(): value}
    return variables
