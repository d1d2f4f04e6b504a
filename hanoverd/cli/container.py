"""What docker's options ask of a container, as far as several options have a part in it; in the order of docker's checks."""

from __future__ import annotations

from errno import ENOENT
from pathlib import PurePosixPath
from typing import Any

from hanoverd.cli.given import Given
from hanoverd.cli.options.container.windows import WINDOWS
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.container import EXPOSED_PORTS, NETWORK_MODE, ContainerSpec, is_own_label
from hanoverd.spec.names import is_container_id, is_version_of
from hanoverd.spec.restart import NO, RestartPolicy
from hanoverd.spec.run.devices import device_requests
from hanoverd.spec.run.healthcheck import FIELDS, healthcheck
from hanoverd.spec.run.inputs import Inputs
from hanoverd.spec.run.isolation import capabilities, security_settings
from hanoverd.spec.run.network import Endpoint, endpoints, networking
from hanoverd.spec.run.pairs import parse_storage_option
from hanoverd.spec.run.streams import Stream
from hanoverd.text.quoting import quoted


def refuse_windows_options(given: Given) -> None:
    """Raise UsageError, in docker's words, for an option of Windows containers."""
    for option in WINDOWS:
        if given.is_given(option.name):
            raise UsageError(
                f'"--{option.name}" is only supported on a Docker daemon running on windows, but the Docker daemon is running '
                "on linux"
            )


def container_settings(given: Given) -> dict[str, Any]:
    """Return the places of the create request that several options fill together.

    UsageError, in docker's words, for options that do not go together.
    """
    try:
        settings = {
            **_exposed(given),
            **_devices(given),
            **_log(given),
            **_security(given),
            **_storage(given),
            **_health(given),
            **_capabilities(given),
        }
        _check_removal(given)
        settings |= _network(given)
        _check_attach(given)
        _check_cidfile(given)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return settings


def inputs(given: Given, env: tuple[str, ...]) -> Inputs:
    """Return what the variables and labels of the next version are read from; ``env`` is set on the command line.

    UsageError for a label that is hanoverd's own.
    """
    labels = given.value("label")
    for key in (*given.value("label-file"), *labels):
        if is_own_label(key):
            raise UsageError(f"label {quoted(key)} is reserved: hanoverd finds its containers by it")
    env_files, label_files = given.texts("env-file"), given.texts("label-file")
    # A pipe, such as a shell's <(...), can be read only once.
    if not all(given.context.is_regular(path) for path in (*env_files, *label_files)):
        return Inputs()
    folder = PurePosixPath(given.context.cwd)
    return Inputs(
        tuple(str(folder / path) for path in env_files), env, tuple(str(folder / path) for path in label_files), labels
    )


def check_side_by_side(given: Given, app: str) -> None:
    """Raise UsageError for what two versions that run side by side cannot both have."""
    if not given.value("disable-overlap"):
        for endpoint in _endpoints(given):
            if endpoint.fixed_address:
                raise UsageError(
                    f"{endpoint.fixed_address}: two versions run side by side and cannot share an address: add "
                    "--disable-overlap"
                )
            if endpoint.network == "host" or endpoint.network.startswith("container:"):
                raise UsageError(
                    f"--network {endpoint.network}: both versions would share the ports of one network namespace: add "
                    "--disable-overlap"
                )
    for name, texts in (
        ("link", [text.partition(":")[0] for text in given.texts("link")]),
        ("volumes-from", [text.partition(":")[0] for text in given.texts("volumes-from")]),
        *((name, [_container_in(text) for text in given.texts(name)]) for name in ("pid", "ipc", "network")),
    ):
        for other in texts:
            if is_version_of(app, other.removeprefix("/")):
                raise UsageError(
                    f"--{name}: {other} is a version of {app} itself: the next handover removes it. Name another container"
                )


def unsupported(container: ContainerSpec) -> list[str]:
    """Return why hanoverd itself cannot do yet what the options ask for."""
    problems = []
    if not container.has_own_ports:
        problems.append(
            f"--network {container.settings[NETWORK_MODE]}: not supported yet: use a network in which the container has an "
            "address of its own"
        )
    return problems


def _container_in(text: str) -> str:
    return text.partition("container:")[2] if text.startswith("container:") else ""


def _exposed(given: Given) -> dict[str, Any]:
    exposed: dict[str, object] = {port: {} for ports in given.value("expose") for port in ports}
    return {EXPOSED_PORTS: exposed} if exposed else {}


def _devices(given: Given) -> dict[str, Any]:
    devices = given.value("device")
    paths = [one for one in devices if not isinstance(one, str)]
    requests = device_requests([*given.value("gpus")], [one for one in devices if isinstance(one, str)])
    found = {"HostConfig.Devices": paths, "HostConfig.DeviceRequests": requests}
    return {place: value for place, value in found.items() if value}


def _log(given: Given) -> dict[str, Any]:
    driver, options = given.value("log-driver") or "", given.value("log-opt")
    if driver == "none" and options:
        raise ValueError("invalid logging opts for driver none")
    return {"HostConfig.LogConfig": {"Type": driver, "Config": options}} if driver or options else {}


def _security(given: Given) -> dict[str, Any]:
    options = given.value("security-opt")
    return security_settings(options, given.context.open_file) if options else {}


def _storage(given: Given) -> dict[str, Any]:
    options = dict(parse_storage_option(text) for text in given.value("storage-opt"))
    return {"HostConfig.StorageOpt": options} if options else {}


def _health(given: Given) -> dict[str, Any]:
    check = healthcheck({name: given.value(name) for name in FIELDS}, disabled=bool(given.value("no-healthcheck")))
    return {"Healthcheck": check} if check else {}


def _capabilities(given: Given) -> dict[str, Any]:
    add, drop = capabilities(given.value("cap-add"), given.value("cap-drop"))
    return {place: value for place, value in (("HostConfig.CapAdd", add), ("HostConfig.CapDrop", drop)) if value}


def _check_removal(given: Given) -> None:
    restart: RestartPolicy = given.value("restart")
    if given.value("rm") and given.is_given("restart") and restart.name != NO:
        raise ValueError("conflicting options: cannot specify both --restart and --rm")


def _endpoints(given: Given) -> tuple[Endpoint, ...]:
    options = Endpoint(
        aliases=tuple(given.value("network-alias")),
        ip=given.value("ip") or "",
        ip6=given.value("ip6") or "",
        mac_address=given.value("mac-address") or "",
        link_local_ips=tuple(given.value("link-local-ip")),
        links=tuple(given.value("link")),
    )
    return endpoints(given.value("network"), options)


def _network(given: Given) -> dict[str, Any]:
    found = _endpoints(given)
    return networking(found) if given.is_given("network") or found[0].settings else {}


def _check_cidfile(given: Given) -> None:
    if not given.value("cidfile"):
        return
    path = given.texts("cidfile")[-1]
    try:
        if not given.context.exists(path):
            if not given.context.exists(str(PurePosixPath(path).parent)):
                raise FileNotFoundError(ENOENT, "no such file or directory")
            return
        # An earlier run may have left it; the daemon asks the engine whose container it names.
        if given.context.is_regular(path) and is_container_id(given.context.open_file(path).decode(errors="replace")):
            return
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ValueError(f"failed to create the container ID file: open {path}: {reason}") from None
    raise ValueError(f"container ID file found, make sure the other container isn't running or delete {path}")


def _check_attach(given: Given) -> None:
    if given.is_given("attach") and given.value("detach"):
        raise ValueError("conflicting options: cannot specify both --attach and --detach")
    if str(Stream.STDIN) in [text.lower() for text in given.texts("attach")]:
        raise ValueError("--attach stdin: nothing is ever written to a version's STDIN")
