"""A version's container: what the user asks for, and the request that creates it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hanoverd import __version__
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.ports import LOOPBACK, LOOPBACK_IPV6, ContainerPort
from hanoverd.spec.reachability import Reachability
from hanoverd.spec.run.inputs import Inputs
from hanoverd.spec.volumes import Volumes

#: Labels by which hanoverd finds its containers, also after a crash.
ORCHESTRATOR, APP, GENERATION, IMAGE, IMAGE_NAME, REVISION, OBTAINED, GIVEN, VERSION = (
    "orchestrator",
    "hanoverd.app",
    "hanoverd.generation",
    "hanoverd.image",
    "hanoverd.image-name",
    "hanoverd.revision",
    "hanoverd.obtained",
    "hanoverd.given",
    "hanoverd.version",
)

#: The labels of versions before 0.5 have other prefixes than this.
_OWN_PREFIX = "hanoverd."

#: The places of settings that hanoverd itself uses, too.
STOP_SIGNAL, STOP_TIMEOUT, MOUNTS = "StopSignal", "StopTimeout", "HostConfig.Mounts"
LABELS, EXPOSED_PORTS, HOSTNAME = "Labels", "ExposedPorts", "Hostname"
#: The name of the engine's default bridge network.
DEFAULT_NETWORK = "bridge"

NETWORK_MODE, UTS_MODE = "HostConfig.NetworkMode", "HostConfig.UTSMode"


@dataclass(frozen=True)
class Image:
    """An image that the engine has, by its ID; ``ports`` are the TCP ports that it exposes.

    Only obtaining makes one.  The name is for people: a moment later it may name another image.  ``revision`` is the
    source's own name for what the image was made of: a commit, a digest; None if the source has none.  ``obtained`` is
    true if hanoverd built, pulled or loaded it, and so may remove it when it is no longer needed.
    """

    id: str
    name: ImageName
    ports: tuple[ContainerPort, ...]
    revision: str | None = None
    obtained: bool = False


@dataclass(frozen=True)
class ContainerSpec:
    """What the user asks of each version's container.

    ``ports`` are the container's ports that the app publishes.  ``settings`` are passed to Docker unchanged: values by
    their place in the body of ``POST /containers/create``, such as ``StopSignal`` or ``HostConfig.Init``.  ``env`` and
    the labels among the settings are as they were when ``inputs`` were read last.
    """

    command: tuple[str, ...] = ()
    env: tuple[str, ...] = field(default=(), repr=False)
    ports: tuple[ContainerPort, ...] = ()
    volumes: Volumes = field(default_factory=Volumes)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Inputs = field(default_factory=Inputs, compare=False)
    platform: str = ""

    @property
    def network(self) -> str:
        """The network that the container is created for: the default bridge, unless another one is given."""
        found = str(self.settings.get(NETWORK_MODE, ""))
        return DEFAULT_NETWORK if found in ("", "default") else found

    @property
    def reachability(self) -> Reachability:
        """How clients reach the container."""
        return Reachability.of(str(self.settings.get(NETWORK_MODE, "")))

    @property
    def stop_timeout(self) -> int | None:
        """The seconds between the stop signal and the kill, -1 for no limit; None leaves it to the image."""
        seconds: int | None = self.settings.get(STOP_TIMEOUT)
        return seconds


@dataclass(frozen=True)
class Recipe:
    """What a version is made of: a version that is made of the same again is the same, whatever its ``lineage``."""

    image: Image
    options: ContainerSpec
    lineage: Lineage = field(default=Lineage(), compare=False)


def record_of(container: ContainerSpec) -> str:
    """Return the label that says which options were given, as JSON.

    The engine merges them with the image's own settings, so a container alone does not say which were given.  Values
    that can be secret, such as those of variables, are not in the label: they are read from the container itself.
    """
    return json.dumps(
        {
            "command": bool(container.command),
            "env": [entry.partition("=")[0] for entry in container.env],
            "unset": [entry for entry in container.env if "=" not in entry],
            "volumes": list(container.volumes.anonymous),
            "settings": dict(container.settings),
            "platform": container.platform,
        }
    )


def is_own_label(key: str) -> bool:
    """Whether hanoverd itself sets the label ``key``."""
    return key == ORCHESTRATOR or key.startswith(_OWN_PREFIX)


def app_label(app: str) -> str:
    """Return the label ``KEY=VALUE`` of all containers of an app."""
    return f"{APP}={app}"


def export_body(app: str, image_id: str) -> dict[str, object]:
    """Return the body of ``POST /containers/create`` for a container that only prints the contents of an image."""
    return {
        "Image": image_id,
        # Without a number it is no version: the image's own labels count where these do not replace them.
        "Labels": {ORCHESTRATOR: "hanoverd", APP: app, GENERATION: "", IMAGE: image_id, VERSION: __version__},
        # Its output can be large, and is read while it is written.
        "HostConfig": {"LogConfig": {"Type": "none"}},
    }


def create_body(app: str, number: int, name: str, recipe: Recipe, *, with_ipv6: bool = False) -> dict[str, object]:
    """Return the body of ``POST /containers/create`` (Docker Engine API) for version ``number`` of ``app``.

    ``with_ipv6``: the container will have an IPv6 address, and the host has a loopback address for its ports.
    """
    image, container = recipe.image, recipe.options
    body: dict[str, object] = {
        "Image": image.id,
        "Hostname": name,
        "Env": [*_environment(image.name, container.env)],
        "ExposedPorts": {str(port): {} for port in container.ports},
        "Volumes": {path: {} for path in container.volumes.anonymous},
        "Labels": {
            ORCHESTRATOR: "hanoverd",
            APP: app,
            GENERATION: str(number),
            IMAGE: image.id,
            IMAGE_NAME: image.name.reference,
            REVISION: image.revision or "",
            OBTAINED: str(image.obtained).lower(),
            GIVEN: record_of(container),
            VERSION: __version__,
            **recipe.lineage.labels(),
        },
        "HostConfig": {
            # On loopback, each on a port of the engine's choice: a version that is not ready cannot be reached from
            # outside, and the engine still accepts what our rules send to the container's own address.
            "PortBindings": {str(port): _bindings(with_ipv6=with_ipv6) for port in container.ports},
            "Binds": [*container.volumes.binds],
        },
    }
    if container.command:
        body["Cmd"] = [*container.command]
    for place, value in container.settings.items():
        _put(body, place.split("."), value)
    if HOSTNAME not in container.settings and _has_no_hostname(container):
        del body["Hostname"]
    return body


def _bindings(*, with_ipv6: bool) -> list[dict[str, str]]:
    addresses = [LOOPBACK, LOOPBACK_IPV6] if with_ipv6 else [LOOPBACK]
    return [{"HostIp": str(address), "HostPort": ""} for address in addresses]


def _has_no_hostname(container: ContainerSpec) -> bool:
    return not container.reachability.is_routed or container.settings.get(UTS_MODE) == "host"


def _put(body: dict[str, object], place: Sequence[str], value: object) -> None:
    *above, last = place
    for key in above:
        inner = body.setdefault(key, {})
        assert isinstance(inner, dict), place  # noqa: S101  # no setting is inside another one
        body = inner
    present = body.get(last)
    # The labels and ports that hanoverd itself sets are added to the labels and ports of the user, and cannot be overridden.
    body[last] = {**value, **present} if isinstance(present, dict) and isinstance(value, dict) and present else value


def settings_in(config: Mapping[str, Any], host: Mapping[str, Any], places: Sequence[str]) -> dict[str, Any]:
    """Return the settings at ``places`` as an inspected container, with its ``Config`` and ``HostConfig``, has them."""
    found = {}
    for place in places:
        value: Any = {**config, "HostConfig": host}
        for key in place.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value not in (None, [], {}):
            found[place] = value
    return found


def _environment(image: ImageName, env: Sequence[str]) -> list[str]:
    own = {
        "HANOVERD_IMAGE": image.reference,
        "HANOVERD_IMAGE_REPO": image.repository,
        "HANOVERD_IMAGE_TAGDIGEST": image.tag_or_digest,
    }
    named = {entry.partition("=")[0] for entry in env}
    # The user can override them.
    return [f"{name}={value}" for name, value in own.items() if name not in named] + [*env]
