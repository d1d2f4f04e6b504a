"""What the engine is asked at the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from hanoverd.docker.question import QUESTION, ask, question_body
from hanoverd.docker.question_engine import QuestionEngine
from hanoverd.runtime.errors import EngineRefused, EngineUnreachable, NotFound, RequestRefused
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.volumes import Volumes

ID = "sha256:" + "1" * 64


class Asked:
    """An engine with these answers, which notes what is created and not removed."""

    def __init__(
        self, refusal: Exception | None = None, networks: tuple[str, ...] = (), *, swarm: bool = False
    ) -> None:
        self.refusal = refusal
        self.networks = networks
        self.swarm = swarm
        #: The networks that are not ordinary ones.
        self.kinds: dict[str, dict[str, Any]] = {}
        self.bodies: list[Mapping[str, Any]] = []
        self.left: list[str] = []

    def import_empty_image(self, key: str, value: str) -> str:
        """Make the image."""
        assert (key, value) == (QUESTION, "web")
        self.left.append(ID)
        return ID

    def create(self, _name: str, body: Mapping[str, Any], platform: str) -> str:
        """Take the request, or refuse it."""
        assert platform == ""
        self.bodies.append(body)
        if self.refusal is not None:
            raise self.refusal
        self.left.append("container")
        return "container"

    def containers_with(self, _label: str) -> list[Mapping[str, Any]]:
        """Return what was created."""
        return [{"Id": one} for one in self.left if one == "container"]

    def images_with(self, _label: str) -> list[str]:
        """Return what was imported."""
        return [one for one in self.left if one == ID]

    def remove(self, name: str) -> None:
        """Remove it."""
        self.left.remove(name)

    remove_image = remove

    def inspect_network(self, name: str) -> Mapping[str, Any]:
        """Return a network."""
        if name not in self.networks:
            raise NotFound("cannot inspect it", 404, f"network {name} not found")
        return self.kinds.get(name, {})

    def inspect_container(self, name: str) -> Mapping[str, Any]:
        """There is no other container."""
        raise NotFound("cannot inspect it", 404, f"No such container: {name}")

    def inspect_volume(self, name: str) -> Mapping[str, Any]:
        """Return the one volume."""
        if name != "old":
            raise NotFound("cannot inspect it", 404, f"no such volume: {name}")
        return {}

    def is_in_swarm(self) -> bool:
        """Whether it is in a swarm."""
        return self.swarm


def asked(
    engine: Asked,
    settings: Mapping[str, Any] | None = None,
    *,
    sees_devices: bool = True,
    ports: tuple[ContainerPort, ...] = (),
) -> list[str]:
    """Ask it; return the events that were logged."""
    events: list[str] = []

    def observe(event: LogEvent) -> None:
        events.append(event.get("event", ""))

    globalLogPublisher.addObserver(cast("ILogObserver", observe))
    try:
        options = ContainerSpec(settings=settings or {}, ports=ports)
        ask(cast("QuestionEngine", engine), "web", options, sees_devices=sees_devices)
    finally:
        globalLogPublisher.removeObserver(cast("ILogObserver", observe))
    return [event for event in events if event]


def refused(status: int, reason: str) -> EngineRefused:
    """The engine's answer."""
    return EngineRefused("cannot create it", status, reason)


def test_nothing_is_left_of_a_question() -> None:
    engine = Asked()
    assert asked(engine) == []
    assert (len(engine.bodies), engine.left) == (1, [])


def test_what_an_earlier_question_left_is_removed_first() -> None:
    engine = Asked()
    engine.left = ["container", ID]
    asked(engine)
    assert engine.left == []


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusal_has_the_engines_words_and_nothing_is_left(status: int) -> None:
    engine = Asked(refused(status, "Unknown runtime specified nope"))
    with pytest.raises(RequestRefused, match="refuses the options of the container: Unknown runtime specified nope"):
        asked(engine)
    assert engine.left == []


@pytest.mark.parametrize(
    "error",
    [
        EngineUnreachable("no engine answers"),
        refused(503, "starting"),
        refused(500, "mkdir /var/lib/docker: no space left on device"),
        refused(404, f"No such image: {ID}"),
    ],
    ids=["away", "starting", "disk full", "image pruned"],
)
def test_a_start_goes_on_where_the_failure_is_not_about_the_options(error: Exception) -> None:
    engine = Asked(error)
    assert asked(engine) == ["options_not_asked"]
    assert engine.left == []


def test_missing_networks_are_looked_up() -> None:
    endpoints = {"HostConfig.NetworkMode": "a", "NetworkingConfig.EndpointsConfig": {"a": {}, "b": {}}}
    with pytest.raises(RequestRefused, match="network b not found"):
        asked(Asked(networks=("a",)), endpoints)
    assert asked(Asked(networks=("a", "b")), endpoints) == []
    # An engine in a swarm does not list all networks that it can use.
    assert asked(Asked(networks=("a",), swarm=True), endpoints) == []
    for mode in ("", "default", "bridge", "host", "none"):
        assert asked(Asked(), {"HostConfig.NetworkMode": mode}) == []


MODE = "com.docker.network.bridge.gateway_mode_ipv4"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ({"Internal": True, "Driver": "bridge"}, "it is internal"),
        ({"Driver": "macvlan", "Options": None}, "its driver is macvlan"),
        ({"Driver": "ipvlan"}, "its driver is ipvlan"),
        ({"Driver": "bridge", "Options": {MODE: "routed"}}, f"its option {MODE} is routed"),
        ({"Driver": "bridge", "Options": {MODE: "isolated"}}, f"its option {MODE} is isolated"),
    ],
    ids=["internal", "macvlan", "ipvlan", "routed", "isolated"],
)
def test_ports_are_not_published_on_a_network_of_another_kind(kind: dict[str, Any], reason: str) -> None:
    engine = Asked(networks=("a", "b"))
    engine.kinds["a"] = kind
    only = {"HostConfig.NetworkMode": "a"}
    ports = (ContainerPort(80),)
    with pytest.raises(RequestRefused, match=f"on the network a cannot be published: {reason}. Choose another network"):
        asked(engine, only, ports=ports)
    assert engine.bodies == []
    assert asked(engine, only) == []
    # The other network can have the default gateway.
    both = {**only, "NetworkingConfig.EndpointsConfig": {"a": {}, "b": {}}}
    assert asked(engine, both, ports=ports) == []
    engine.kinds["b"] = kind
    with pytest.raises(RequestRefused, match="on the network a cannot be published"):
        asked(engine, both, ports=ports)
    # One that only the swarm knows may be of any kind.
    assert asked(Asked(networks=("a",), swarm=True), both, ports=ports) == []


@pytest.mark.parametrize(
    "kind",
    [{"Driver": "bridge", "Options": {MODE: mode}} for mode in ("", "nat", "nat-unprotected")]
    + [{"Driver": "overlay", "Options": {}}, {"Driver": "bridge", "Options": {"com.docker.network.bridge.name": "x"}}],
)
def test_ports_are_published_on_other_networks(kind: dict[str, Any]) -> None:
    engine = Asked(networks=("a",))
    engine.kinds["a"] = kind
    assert asked(engine, {"HostConfig.NetworkMode": "a"}, ports=(ContainerPort(80),)) == []


def test_the_container_whose_network_is_used_is_looked_up() -> None:
    with pytest.raises(RequestRefused, match="No such container: pod"):
        asked(Asked(), {"HostConfig.NetworkMode": "container:pod"})


def test_devices_are_looked_up_on_the_engines_own_host() -> None:
    devices = {"HostConfig.Devices": [{"PathOnHost": "/dev/null"}, {"PathOnHost": "/dev/missing"}]}
    with pytest.raises(RequestRefused, match='custom device "/dev/missing": no such file or directory'):
        asked(Asked(), devices)
    assert asked(Asked(), devices, sees_devices=False) == []


def test_the_container_of_a_question_is_no_version_and_has_a_command() -> None:
    body = question_body("web", ID, ContainerSpec(ports=(ContainerPort(80),)), lambda _name: False)
    labels = body["Labels"]
    assert (labels[QUESTION], labels["hanoverd.app"], labels["hanoverd.generation"]) == ("web", "web", "")
    assert body["Image"] == labels["hanoverd.image"] == ID
    assert body["Cmd"]
    assert question_body("web", ID, ContainerSpec(command=("run",)), lambda _name: False)["Cmd"] == ["run"]


def test_volumes_that_the_engine_would_create_are_left_out() -> None:
    mounts = [
        {"Type": "volume", "Source": "new", "Target": "/a"},
        {"Type": "volume", "Source": "old", "Target": "/b"},
        {"Type": "volume", "Target": "/c"},
        {"Type": "bind", "Source": "/srv", "Target": "/d"},
    ]
    options = ContainerSpec(
        volumes=Volumes(("new:/e", "old:/f:ro", "/srv:/g"), ()), settings={"HostConfig.Mounts": mounts}
    )
    body = question_body("web", ID, options, lambda name: name == "old")
    assert body["HostConfig"]["Binds"] == ["old:/f:ro", "/srv:/g"]
    assert body["HostConfig"]["Mounts"] == mounts[1:]
