"""Reads the engine's descriptions of containers and images (Docker Engine API, inspect and list)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from hanoverd.runtime.errors import VersionFailed
from hanoverd.spec.container import (
    GENERATION,
    GIVEN,
    IMAGE,
    IMAGE_NAME,
    MOUNTS,
    OBTAINED,
    REVISION,
    STOP_SIGNAL,
    STOP_TIMEOUT,
    ContainerSpec,
    Image,
    Recipe,
    settings_in,
)
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.ports import LOOPBACK, MOST_EXPOSED, ContainerPort, HostPort, IPAddress, Protocol
from hanoverd.spec.volumes import Volumes
from hanoverd.text.decimal import parse_decimal

#: The lists of texts in the label ``hanoverd.given``.
_LISTS = ("env", "unset", "volumes")

#: Settings whose places start with this are in the ``HostConfig`` of an inspected container.
_HOST_PREFIX = "HostConfig."


def exposed_tcp_ports(config: Mapping[str, Any]) -> tuple[ContainerPort, ...]:
    """Return the TCP ports that an image or a container exposes, from its ``Config``; only some if it exposes more than
    ``MOST_EXPOSED``, but more than that.
    """
    ports = (port for port, _ in _ports_in(config.get("ExposedPorts")) if port.protocol is Protocol.TCP)
    return tuple(sorted(islice(ports, MOST_EXPOSED + 1)))


def names_its_image(listed: Mapping[str, Any]) -> bool:
    """Return whether a container, as the engine lists it, has a label with the ID of its image.

    hanoverd gives it to its containers. The image cannot have it: the ID is a hash of the image with its labels.
    """
    return bool((listed.get("Labels") or {}).get(IMAGE) == listed.get("ImageID"))


def generation_of(labels: Mapping[str, str] | None) -> int:
    """Return the version number in the labels of a container; -1 if it is not a version."""
    number = parse_decimal((labels or {}).get(GENERATION, ""))
    return -1 if number is None else number


def recipe_of(found: Mapping[str, Any], image: Mapping[str, Any]) -> Recipe:
    """Return the recipe from which ``create_body`` made a container, from the descriptions of it and of its image.

    The label ``hanoverd.given`` lists the options that were given. Containers of hanoverd 0.4 and older do not have it;
    for them, the image's own options count as given.
    """
    config, host = found["Config"], found["HostConfig"]
    given = _given(config)
    anonymous = (config.get("Volumes") or ()) if given is None else given["volumes"]
    options = ContainerSpec(
        command=tuple(config.get("Cmd") or ()) if given is None or given["command"] else (),
        env=_given_env(config, image, given),
        ports=tuple(port for port, _ in _ports_in(host.get("PortBindings"))),
        volumes=Volumes(tuple(host.get("Binds") or ()), tuple(anonymous)),
        settings=_settings(config, host, given),
        platform=str((given or {}).get("platform", "")),
    )
    labels = config.get("Labels") or {}
    return Recipe(image_in(found), options, Lineage.of_labels(labels, generation_of(labels)))


def requested_recipe(found: Mapping[str, Any], image: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a container, with the settings as they were requested: for a comparison with what is requested now.

    ``recipe_of`` has them as the engine applies them: it completes some, and discards what the kernel does not support.
    """
    recipe, given = recipe_of(found, image), _given(found["Config"])
    if given is None or not isinstance(given.get("settings"), dict):
        return recipe
    return replace(recipe, options=replace(recipe.options, settings=given["settings"]))


def _given(config: Mapping[str, Any]) -> Mapping[str, Any] | None:
    try:
        given = json.loads((config.get("Labels") or {})[GIVEN])
    except (KeyError, ValueError, RecursionError):
        return None
    # An image can have labels of any content, and a container that hanoverd did not create has the labels of its image.
    is_record = isinstance(given, dict) and "command" in given and all(map(_is_texts, map(given.get, _LISTS)))
    settings = given.get("settings", []) if is_record else None
    return given if isinstance(settings, dict) or _is_texts(settings) else None


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _settings(config: Mapping[str, Any], host: Mapping[str, Any], given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if given is None or not isinstance(given.get("settings"), dict):
        return settings_in(config, host, _given_settings(given))
    in_label: Mapping[str, Any] = given["settings"]
    # What gives a container power over the host is read from the container itself: an image can have labels of any
    # content. The engine merges the rest with what the image has, so only the label says what was given.
    found = {place: host.get(place.partition(".")[2]) for place in in_label if place.startswith(_HOST_PREFIX)}
    return {place: found.get(place, value) for place, value in in_label.items() if found.get(place, value) is not None}


def _given_settings(given: Mapping[str, Any] | None) -> list[str]:
    """Where the settings are that were given."""
    if given is not None and "settings" in given:
        return [*given["settings"]]
    # The label of earlier versions, or none.
    older = {STOP_SIGNAL: "stop_signal", STOP_TIMEOUT: "stop_timeout"}
    return [MOUNTS, *(place for place, name in older.items() if given is None or given.get(name))]


def _given_env(config: Mapping[str, Any], image: Mapping[str, Any], given: Mapping[str, Any] | None) -> tuple[str, ...]:
    env = tuple(config.get("Env") or ())
    if given is not None:
        values = {entry.partition("=")[0]: entry for entry in env}
        return tuple(values.get(name, name) for name in given["env"] if name in values or name in given["unset"])
    named = {entry.partition("=")[0] for entry in env}
    # A variable of the image that the container does not have was unset.
    inherited = (entry.partition("=")[0] for entry in (image.get("Config") or {}).get("Env") or ())
    return (*env, *(name for name in inherited if name not in named))


def image_in(found: Mapping[str, Any]) -> Image:
    """Return the image of a container, with the name that it had when the container was created."""
    labels = found["Config"].get("Labels") or {}
    try:
        name = ImageName.parse(labels.get(IMAGE_NAME) or found["Image"])
    except ValueError:
        name = ImageName.parse(found["Image"])
    ports = exposed_tcp_ports(found["Config"])
    return Image(found["Image"], name, ports, labels.get(REVISION) or None, labels.get(OBTAINED) == "true")


def created_at(found: Mapping[str, Any]) -> float:
    """Return when a container, inspected, was created, as a Unix time."""
    return datetime.fromisoformat(found["Created"]).timestamp()


def proxy_ports_of(found: Mapping[str, Any], loopback: IPAddress = LOOPBACK) -> dict[ContainerPort, HostPort]:
    """Return the ports of a container that the engine published, each with the one at ``loopback`` of the engine's proxy."""
    # The exposed ports are there too, without bindings: an image may expose all that there are. On a network with the
    # gateway mode "routed" the engine binds no host port, and the text is empty.
    published = {text: bindings for text, bindings in (found["NetworkSettings"]["Ports"] or {}).items() if bindings}
    return {
        port: HostPort(loopback, int(binding["HostPort"]), port.protocol)
        for port, bindings in _ports_in(published)
        for binding in bindings
        if binding.get("HostIp") == str(loopback) and int(binding.get("HostPort") or 0)
    }


def _ports_in(by_port: Mapping[str, Any] | None) -> Iterator[tuple[ContainerPort, Any]]:
    """Yield each port with its value. An image may expose any text; text that is not a port is left out."""
    for text, value in (by_port or {}).items():
        try:
            port = ContainerPort.parse(text)
        except ValueError:
            continue
        yield port, value


def network_mode_of(found: Mapping[str, Any]) -> str:
    """Return the network that a container, inspected or listed, was created for; empty for the engine's default."""
    return str((found.get("HostConfig") or {}).get("NetworkMode") or "")


def addresses_of(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the IPv4 addresses of a container, inspected or listed, one for each network that it is connected to."""
    # Per network: the address at the top is gone from the engine's API 1.52.
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    mode = network_mode_of(found)
    # The network that --network named first comes first; the engine lists them in the order of their names.
    first = [network for name, network in networks.items() if mode in (name, network.get("NetworkID"))]
    others = [network for network in networks.values() if network not in first]
    return tuple(network["IPAddress"] for network in (*first, *others) if network.get("IPAddress"))


def address_of(found: Mapping[str, Any]) -> str:
    """Return the IPv4 address of a container in its first network that has one; VersionFailed if it has none."""
    addresses = addresses_of(found)
    if addresses:
        return addresses[0]
    networks = found["NetworkSettings"]["Networks"] or {}
    raise VersionFailed(f"the engine gave it no IPv4 address (its networks: {', '.join(networks) or 'none'})")


def has_healthcheck(found: Mapping[str, Any]) -> bool:
    """Return whether a container has a health check, of its image or of its own."""
    # NONE is how one of the image is disabled.
    test = (found["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    return bool(test[0] != "NONE")


def healthcheck_status(found: Mapping[str, Any]) -> tuple[str, str]:
    """Return the state of a container's health check (starting, healthy, unhealthy, or none), and what it printed last."""
    health = found["State"].get("Health") or {}
    outputs = [str(check.get("Output", "")).strip() for check in health.get("Log") or []]
    return str(health.get("Status") or "none"), outputs[-1] if outputs else ""


def healthcheck_failure(found: Mapping[str, Any]) -> str | None:
    """Return why the HEALTHCHECK says that a container is unhealthy; None if it does not."""
    status, output = healthcheck_status(found)
    return f"its HEALTHCHECK failed: {output or 'it printed nothing'}" if status == "unhealthy" else None
