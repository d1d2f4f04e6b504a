"""What a version was made from is read back from its container, whatever its image says itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hanoverd.docker.inspection import generation_of, recipe_of
from hanoverd.spec.container import GENERATION, GIVEN, ContainerSpec, Image, Recipe, create_body, export_body
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.volumes import Volumes

IMAGE = Image("sha256:abc", ImageName.parse("web:v1"), (ContainerPort(80),), obtained=True)

#: What an image says that says all it can.
OF_THE_IMAGE: dict[str, Any] = {
    "Cmd": ["from", "the", "image"],
    "Env": ["PATH=/bin", "LANG=C", "TAKEN=away"],
    "Volumes": {"/of-the-image": {}},
    "StopSignal": "SIGQUIT",
    "StopTimeout": 7,
    "ExposedPorts": {"80/tcp": {}},
}

ALL = ContainerSpec(
    command=("serve", "--all"),
    env=("WITH=a secret", "EMPTY=", "TAKEN", "LANG=C"),
    ports=(ContainerPort(80), ContainerPort(443)),
    volumes=Volumes(("data:/data",), ("/cache",)),
    settings={
        "HostConfig.Mounts": [{"Type": "tmpfs", "Target": "/scratch"}],
        "HostConfig.Init": True,
        "StopSignal": "SIGINT",
        "StopTimeout": 3,
    },
)


def inspected(options: ContainerSpec) -> dict[str, Any]:
    """What the engine says of a container with these options: the image's settings and its own, as one."""
    body: dict[str, Any] = create_body("web", 0, "web-0", Recipe(IMAGE, options))
    env = {entry.partition("=")[0]: entry for entry in (*OF_THE_IMAGE["Env"], *body["Env"])}
    return {
        "Image": IMAGE.id,
        "Config": {
            "Labels": body["Labels"],
            "Cmd": body.get("Cmd", OF_THE_IMAGE["Cmd"]),
            # A variable without "=" is taken away.
            "Env": [entry for entry in env.values() if "=" in entry],
            "Volumes": {**OF_THE_IMAGE["Volumes"], **body["Volumes"]},
            "StopSignal": body.get("StopSignal", OF_THE_IMAGE["StopSignal"]),
            "StopTimeout": body.get("StopTimeout", OF_THE_IMAGE["StopTimeout"]),
            "ExposedPorts": {**OF_THE_IMAGE["ExposedPorts"], **body["ExposedPorts"]},
        },
        "HostConfig": body["HostConfig"],
    }


@pytest.mark.parametrize(
    "options",
    [
        ContainerSpec(),
        ContainerSpec(command=("serve",)),
        ContainerSpec(env=("WITH=a secret", "EMPTY=", "LANG=C")),
        ContainerSpec(env=("TAKEN",)),
        ContainerSpec(volumes=Volumes(anonymous=("/cache", "/of-the-image"))),
        ContainerSpec(settings={"StopSignal": "SIGINT"}),
        ContainerSpec(settings={"StopTimeout": 3}),
        ContainerSpec(settings={"HostConfig.Init": False}),
        ALL,
    ],
)
def test_it_has_the_options_that_were_given_and_no_others(options: ContainerSpec) -> None:
    assert recipe_of(inspected(options), {"Config": OF_THE_IMAGE}).options == options


def test_a_container_that_is_made_again_of_it_is_the_same() -> None:
    again = recipe_of(inspected(ALL), {"Config": OF_THE_IMAGE})
    body, expected = (create_body("web", 0, "web-0", recipe) for recipe in (again, Recipe(IMAGE, ALL, Lineage(0))))
    assert body == expected


def test_no_value_of_a_variable_is_in_a_label() -> None:
    labels: Any = create_body("web", 0, "web-0", Recipe(IMAGE, ALL))["Labels"]
    assert "a secret" not in json.dumps(labels)
    assert "WITH" in labels[GIVEN]


@pytest.mark.parametrize(
    "label",
    [
        "[]",
        "[" * 100_000,
        "null",
        '{"command": true}',
        '{"command": true, "env": 5, "unset": [], "volumes": []}',
        '{"command": true, "env": [], "unset": [], "volumes": [], "settings": "all"}',
    ],
)
def test_a_record_that_an_image_invented_is_none(label: str) -> None:
    found, without = inspected(ContainerSpec()), inspected(ContainerSpec())
    found["Config"]["Labels"][GIVEN] = label
    del without["Config"]["Labels"][GIVEN]
    image = {"Config": OF_THE_IMAGE}
    assert recipe_of(found, image) == recipe_of(without, image)


def test_a_record_of_settings_that_do_not_exist_is_of_no_effect() -> None:
    found = inspected(ContainerSpec())
    record = json.loads(found["Config"]["Labels"][GIVEN])
    found["Config"]["Labels"][GIVEN] = json.dumps({**record, "settings": ["Cmd.x", "StopSignal.y", ""]})
    assert recipe_of(found, {"Config": OF_THE_IMAGE}).options == ContainerSpec()


@pytest.mark.parametrize("number", ["", "x", "-1", "\N{SUPERSCRIPT TWO}", "9" * 5000])
def test_a_container_without_a_number_is_not_a_version(number: str) -> None:
    assert generation_of({GENERATION: number}) == -1


def test_a_container_that_only_prints_files_is_not_a_version_whatever_its_image_says() -> None:
    labels: Any = export_body("web", "sha256:1")["Labels"]
    assert generation_of({GENERATION: "5", **labels}) == -1
