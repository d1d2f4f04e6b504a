"""What an engine is asked for when a version's container is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hanoverd import __version__
from hanoverd.model.images import ImageName

#: Labels by which hanoverd finds what is its own, after a crash too.
ORCHESTRATOR, APP, GENERATION, IMAGE, IMAGE_NAME, OBTAINED, VERSION = (
    "orchestrator",
    "hanoverd.app",
    "hanoverd.generation",
    "hanoverd.image",
    "hanoverd.image-name",
    "hanoverd.obtained",
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
    ports: tuple[int, ...]
    revision: str | None = None
    obtained: bool = False


@dataclass(frozen=True)
class ContainerOptions:
    """What the user wants of every version's container."""

    command: Sequence[str] = ()
    env: Sequence[str] = ()
    ports: Sequence[int] = ()
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


def exposed_tcp_ports(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The TCP ports that the ``Config`` of an image or a container, as the engine tells it, exposes."""
    exposed = config.get("ExposedPorts") or {}
    return tuple(sorted(int(port.partition("/")[0]) for port in exposed if port.endswith("/tcp")))


def app_label(app: str) -> str:
    """The label ``KEY=VALUE`` that all containers of an app carry."""
    return f"{APP}={app}"


def generation_of(labels: Mapping[str, str] | None) -> int:
    """The number of the version that a container with these labels is; -1 for one that is none."""
    number = (labels or {}).get(GENERATION, "")
    return int(number) if number.isdigit() else -1


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
        "ExposedPorts": {f"{port}/tcp": {} for port in options.ports},
        "Volumes": {path: {} for path in options.anonymous_volumes},
        "Labels": {
            ORCHESTRATOR: "hanoverd",
            APP: app,
            GENERATION: str(number),
            IMAGE: image.id,
            IMAGE_NAME: image.name.reference,
            OBTAINED: str(image.obtained).lower(),
            VERSION: __version__,
        },
        "HostConfig": {
            # On loopback, each on a port of the engine's choice: an unready version answers nobody outside, and
            # the engine still lets through what the firewall leads to the container's own address.
            "PortBindings": {f"{port}/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}] for port in options.ports},
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


def recipe_of(found: Mapping[str, Any], image: Mapping[str, Any]) -> Recipe:
    """What a container was made of that ``create_body`` described, as the engine tells of it and of its image."""
    config, host = found["Config"], found["HostConfig"]
    env = tuple(config.get("Env") or ())
    named = {entry.partition("=")[0] for entry in env}
    # A variable of the image that the container does not have was taken away from it.
    inherited = (entry.partition("=")[0] for entry in (image.get("Config") or {}).get("Env") or ())
    options = ContainerOptions(
        command=tuple(config.get("Cmd") or ()),
        env=(*env, *(name for name in inherited if name not in named)),
        ports=tuple(int(port.partition("/")[0]) for port in host.get("PortBindings") or {}),
        binds=tuple(host.get("Binds") or ()),
        anonymous_volumes=tuple(config.get("Volumes") or ()),
        mounts=tuple(host.get("Mounts") or ()),
        stop_signal=config.get("StopSignal"),
        stop_timeout=config.get("StopTimeout"),
    )
    return Recipe(image_in(found), options)


def image_in(found: Mapping[str, Any]) -> Image:
    """The image of a container, by the name that it had when the container was created."""
    labels = found["Config"].get("Labels") or {}
    try:
        name = ImageName.parse(labels.get(IMAGE_NAME) or found["Image"])
    except ValueError:
        name = ImageName.parse(found["Image"])
    ports = exposed_tcp_ports(found["Config"])
    return Image(found["Image"], name, ports, obtained=labels.get(OBTAINED) == "true")


def _environment(image: ImageName, env: Sequence[str]) -> list[str]:
    own = {
        "HANOVERD_IMAGE": image.reference,
        "HANOVERD_IMAGE_REPO": image.repository,
        "HANOVERD_IMAGE_TAGDIGEST": image.tag_or_digest,
    }
    named = {entry.partition("=")[0] for entry in env}
    # The user's own word on a variable goes.
    return [f"{name}={value}" for name, value in own.items() if name not in named] + [*env]
