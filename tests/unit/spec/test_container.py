"""What an engine is asked for when a version's container is created."""

from __future__ import annotations

from hanoverd import __version__
from hanoverd.spec.container import ContainerSpec, Image, Recipe, create_body, record_of
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort

IMAGE = Image("sha256:abc", ImageName.parse("localhost:5000/web:v1"), (ContainerPort(80),))


def test_the_image_is_named_by_its_id_for_a_tag_may_mean_another_by_then() -> None:
    assert create_body("web", 3, "web-3", Recipe(IMAGE, ContainerSpec()))["Image"] == "sha256:abc"


def test_the_container_is_told_its_image_and_its_hostname() -> None:
    body = create_body("web", 3, "web-3", Recipe(IMAGE, ContainerSpec(env=("A=1", "B"))))
    assert body["Hostname"] == "web-3"
    assert body["Env"] == [
        "HANOVERD_IMAGE=localhost:5000/web:v1",
        "HANOVERD_IMAGE_REPO=localhost:5000/web",
        "HANOVERD_IMAGE_TAGDIGEST=v1",
        "A=1",
        "B",
    ]


def test_the_users_own_word_on_a_variable_goes() -> None:
    env = create_body("web", 0, "web-0", Recipe(IMAGE, ContainerSpec(env=("HANOVERD_IMAGE=mine",))))["Env"]
    assert [entry for entry in env if entry.startswith("HANOVERD_IMAGE=")] == ["HANOVERD_IMAGE=mine"]  # type: ignore[attr-defined]


def test_labels_tell_whose_it_is() -> None:
    assert create_body("web", 3, "web-3", Recipe(IMAGE, ContainerSpec()))["Labels"] == {
        "orchestrator": "hanoverd",
        "hanoverd.app": "web",
        "hanoverd.generation": "3",
        "hanoverd.image": "sha256:abc",
        "hanoverd.image-name": "localhost:5000/web:v1",
        "hanoverd.revision": "",
        "hanoverd.obtained": "false",
        "hanoverd.given": record_of(ContainerSpec()),
        "hanoverd.version": __version__,
        "hanoverd.origin": "",
        "hanoverd.rollback": "false",
        "hanoverd.source": "",
    }


def test_ports_are_published_on_loopback_only_and_nothing_removes_it_but_hanoverd() -> None:
    body = create_body("web", 0, "web-0", Recipe(IMAGE, ContainerSpec(ports=(ContainerPort(80), ContainerPort(443)))))
    host: dict[str, object] = body["HostConfig"]  # type: ignore[assignment]
    assert host["PortBindings"] == {
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
        "443/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
    }
    assert body["ExposedPorts"] == {"80/tcp": {}, "443/tcp": {}}
    assert "AutoRemove" not in host
    assert "PublishAllPorts" not in host


def test_what_is_not_chosen_is_left_to_the_image() -> None:
    body = create_body("web", 0, "web-0", Recipe(IMAGE, ContainerSpec()))
    assert not {"Cmd", "StopSignal"} & set(body)
    body = create_body(
        "web",
        0,
        "web-0",
        Recipe(IMAGE, ContainerSpec(command=("a",), settings={"StopSignal": "SIGINT", "HostConfig.Init": True})),
    )
    assert (body["Cmd"], body["StopSignal"]) == (["a"], "SIGINT")
    host: dict[str, object] = body["HostConfig"]  # type: ignore[assignment]
    assert host["Init"] is True
