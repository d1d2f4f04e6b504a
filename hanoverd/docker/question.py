"""Asks the engine at the start what only the engine knows: whether it would create the app's containers.

A container is created from the app's request, never started, and removed. Its image is empty and is removed, too: the app's
image may have to be built or pulled first, and nothing is pulled for a question. What the engine checks only when it
starts a container is looked up: its networks, the container whose network it joins, and its devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from hanoverd.docker import quirks
from hanoverd.docker.network_kinds import why_unpublished
from hanoverd.docker.question_engine import QuestionEngine
from hanoverd.runtime.errors import EngineError, EngineRefused, NotFound, RequestRefused
from hanoverd.spec.container import (
    GENERATION,
    IMAGE,
    LABELS,
    MOUNTS,
    ContainerSpec,
    Image,
    Recipe,
    create_body,
)
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.names import version_name
from hanoverd.spec.reachability import CONTAINER_PREFIX
from hanoverd.spec.run.network import is_user_defined

log = Logger()

#: The label of what a question creates; its value is the app.
QUESTION = "hanoverd.question"

#: From a proxy before an engine that is away (RFC 9110, 15.6).
_GATEWAY_ERRORS = (502, 503, 504)


def ask(engine: QuestionEngine, app: str, options: ContainerSpec, *, sees_devices: bool) -> None:
    """Fail with ``RequestRefused``, in the engine's words, if it would not create or start containers with ``options``.

    Leaves nothing behind, and first removes what an earlier question left whose process was killed.  ``sees_devices``: the
    engine runs on this host.  An engine that cannot be asked is logged: the start continues without an answer.  Blocks.
    """
    try:
        with _refusals():
            _check_networks(engine, options)
            _check_devices(options, sees_devices=sees_devices)
        _clean_up(engine, app)
        try:
            image_id = engine.import_empty_image(QUESTION, app)
            body = question_body(app, image_id, options, lambda name: _has_volume(engine, name))
            with _refusals(image_id):
                # Not for its platform: that is the app's image's, not that of the empty one.
                engine.create("", body, "")
        finally:
            _clean_up(engine, app)
    except EngineError as error:
        log.warn(
            "{app}: the engine was not asked whether it takes the options: {error}",
            event="options_not_asked",
            app=app,
            error=error,
        )


def question_body(app: str, image_id: str, options: ContainerSpec, has_volume: Callable[[str], bool]) -> dict[str, Any]:
    """Return the request for the container of the question, from the app's ``options``.

    Volumes for which ``has_volume`` returns false are left out: the engine would create them.
    """
    image = Image(image_id, ImageName.parse(image_id), ())
    body: dict[str, Any] = create_body(app, 0, version_name(app, 0), Recipe(image, options))
    # Without a number it is no version.
    body[LABELS] = {**body[LABELS], IMAGE: image_id, GENERATION: "", QUESTION: app}
    if not body.get("Cmd"):
        # The empty image has no command.
        body["Cmd"] = ["-"]
    host = body["HostConfig"]
    host["Binds"] = [bind for bind in host["Binds"] if bind.startswith("/") or has_volume(bind.partition(":")[0])]
    mounts = MOUNTS.partition(".")[2]
    if mounts in host:
        host[mounts] = [mount for mount in host[mounts] if not _is_new_volume(mount, has_volume)]
    return body


def _is_new_volume(mount: Mapping[str, Any], has_volume: Callable[[str], bool]) -> bool:
    return bool(mount.get("Type") == "volume" and mount.get("Source") and not has_volume(mount["Source"]))


def _has_volume(engine: QuestionEngine, name: str) -> bool:
    try:
        engine.inspect_volume(name)
    except NotFound:
        return False
    return True


def _check_networks(engine: QuestionEngine, options: ContainerSpec) -> None:
    mode = str(options.settings.get("HostConfig.NetworkMode", ""))
    if mode.startswith(CONTAINER_PREFIX):
        engine.inspect_container(mode.removeprefix(CONTAINER_PREFIX))
        return
    endpoints = options.settings.get("NetworkingConfig.EndpointsConfig") or {}
    networks = [name for name in dict.fromkeys((mode, *endpoints)) if is_user_defined(name)]
    found = [network for network in (_find_network(engine, name) for name in networks) if network is not None]
    reasons = [why_unpublished(network) for network in found]
    # An internal network never has the default gateway, where the ports are published. Of several networks that can have it
    # the engine chooses; if it chooses one without published ports, the first version fails with the reason.
    if options.ports and reasons and len(found) == len(networks) and None not in reasons:
        raise RequestRefused(
            f"the ports of a container on the network {networks[0]} cannot be published: {reasons[0]}. Choose another network "
            "with --network (its other networks can be added by more of them), or leave out --publish"
        )


def _find_network(engine: QuestionEngine, name: str) -> Mapping[str, Any] | None:
    """Return a network; None if only the swarm may know it."""
    try:
        return engine.inspect_network(name)
    except NotFound:
        if not engine.is_in_swarm():
            raise
        return None


def _check_devices(options: ContainerSpec, *, sees_devices: bool) -> None:
    for device in options.settings.get("HostConfig.Devices") or ():
        path = device["PathOnHost"]
        if sees_devices and not Path(path).exists():
            raise RequestRefused(
                f'error gathering device information while adding custom device "{path}": no such file or directory'
            )


@contextmanager
def _refusals(image_id: str = "") -> Iterator[None]:
    """Raise ``RequestRefused`` for the engine's refusals that the options have caused."""
    try:
        yield
    except EngineRefused as error:
        # Another program may have removed unused images just now.
        is_about_image = bool(image_id) and image_id in error.reason
        if error.status in _GATEWAY_ERRORS or quirks.is_disk_full(error.reason) or is_about_image:
            raise
        raise RequestRefused(f"the engine refuses the options of the container: {error.reason}") from error


def _clean_up(engine: QuestionEngine, app: str) -> None:
    label = f"{QUESTION}={app}"
    for container in engine.containers_with(label):
        engine.remove(container["Id"])
    for image_id in engine.images_with(label):
        engine.remove_image(image_id)
