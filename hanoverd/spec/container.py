"""What an engine is asked for when a version's container is created."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hanoverd import __version__
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import LOOPBACK, ContainerPort

#: Labels by which hanoverd finds what is its own, after a crash too.
ORCHESTRATOR, APP, GENERATION, IMAGE, IMAGE_NAME, OBTAINED, GIVEN, VERSION = (
    "orchestrator",
    "hanoverd.app",
    "hanoverd.generation",
    "hanoverd.image",
    "hanoverd.image-name",
    "hanoverd.obtained",
    "hanoverd.given",
    "hanoverd.version",
)


@dataclass(frozen=True)
class Image:
    """An image that the engine has, by its ID; ``ports`` are the TCP ports that it exposes.

    Only obtaining makes one.  The name is for people: it may mean another image a moment later.  ``revision`` is what
    the source calls what it made this of: a commit, a digest; None where it has no word for it.  ``obtained`` tells that
    hanoverd built, pulled or loaded it, and may remove it when it is not needed any more.
    """

    id: str
    name: ImageName
    ports: tuple[ContainerPort, ...]
    revision: str | None = None
    obtained: bool = False


@dataclass(frozen=True)
class ContainerOptions:
    """What the user wants of every version's container."""

    command: Sequence[str] = ()
    env: Sequence[str] = ()
    ports: Sequence[ContainerPort] = ()
    binds: Sequence[str] = ()
    anonymous_volumes: Sequence[str] = ()
    mounts: Sequence[Mapping[str, object]] = ()
    stop_signal: str | None = None
    stop_timeout: int | None = None


@dataclass(frozen=True)
class Recipe:
    """What a version is made of: made again of the same, it is the same."""

    image: Image
    options: ContainerOptions


def record_of(options: ContainerOptions) -> str:
    """Return the label that says which options were given, as JSON.

    The engine mixes them with the image's own settings.  A value that could be a secret, as those of variables, is not in
    the label: it is read from the container itself.
    """
    return json.dumps(
        {
            "command": bool(options.command),
            "env": [entry.partition("=")[0] for entry in options.env],
            "unset": [entry for entry in options.env if "=" not in entry],
            "volumes": list(options.anonymous_volumes),
            "stop_signal": options.stop_signal is not None,
            "stop_timeout": options.stop_timeout is not None,
        }
    )


def app_label(app: str) -> str:
    """The label ``KEY=VALUE`` that all containers of an app carry."""
    return f"{APP}={app}"


def export_body(app: str, image_id: str) -> dict[str, object]:
    """The body of ``POST /containers/create`` for a container whose output is all that is wanted of it."""
    return {
        "Image": image_id,
        "Labels": {ORCHESTRATOR: "hanoverd", APP: app, VERSION: __version__},
        # Its output may be large, and is read as it comes.
        "HostConfig": {"LogConfig": {"Type": "none"}},
    }


def create_body(app: str, number: int, name: str, recipe: Recipe) -> dict[str, object]:
    """The body of ``POST /containers/create`` (Docker Engine API) for version ``number`` of ``app``."""
    image, options = recipe.image, recipe.options
    body: dict[str, object] = {
        "Image": image.id,
        "Hostname": name,
        "Env": [*_environment(image.name, options.env)],
        "ExposedPorts": {str(port): {} for port in options.ports},
        "Volumes": {path: {} for path in options.anonymous_volumes},
        "Labels": {
            ORCHESTRATOR: "hanoverd",
            APP: app,
            GENERATION: str(number),
            IMAGE: image.id,
            IMAGE_NAME: image.name.reference,
            OBTAINED: str(image.obtained).lower(),
            GIVEN: record_of(options),
            VERSION: __version__,
        },
        "HostConfig": {
            # On loopback, each on a port of the engine's choice: an unready version answers nobody outside, and
            # the engine still lets through what the firewall leads to the container's own address.
            "PortBindings": {str(port): [{"HostIp": str(LOOPBACK), "HostPort": ""}] for port in options.ports},
            "Binds": [*options.binds],
            "Mounts": [dict(mount) for mount in options.mounts],
        },
    }
    if options.command:
        body["Cmd"] = [*options.command]
    if options.stop_signal is not None:
        body["StopSignal"] = options.stop_signal
    if options.stop_timeout is not None:
        body["StopTimeout"] = options.stop_timeout
    return body


def _environment(image: ImageName, env: Sequence[str]) -> list[str]:
    own = {
        "HANOVERD_IMAGE": image.reference,
        "HANOVERD_IMAGE_REPO": image.repository,
        "HANOVERD_IMAGE_TAGDIGEST": image.tag_or_digest,
    }
    named = {entry.partition("=")[0] for entry in env}
    # The user's own word on a variable goes.
    return [f"{name}={value}" for name, value in own.items() if name not in named] + [*env]
