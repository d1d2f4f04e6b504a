"""What differs between two versions: every difference is found, none is invented, and no secret is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanoverd.docker.inspection import requested_recipe
from hanoverd.spec.container import ContainerSpec, Image, Recipe, create_body
from hanoverd.spec.differences import Difference, differences, is_same, recipe_differences
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from hanoverd.spec.volumes import Volumes

IMAGE = Image("sha256:1", ImageName.parse("web:v1"), ())

LIVE = ContainerSpec(
    command=("serve", "--all"),
    env=("PASSWORD=hunter2", "LANG=C", "GONE"),
    ports=(ContainerPort(80),),
    volumes=Volumes(("data:/data",), ("/cache",)),
    settings={
        "HostConfig.Memory": 134217728,
        "HostConfig.CapAdd": ["CAP_NET_ADMIN", "CAP_CHOWN"],
        "HostConfig.Dns": ["1.1.1.1", "8.8.8.8"],
        "HostConfig.Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
        "HostConfig.LogConfig": {"Type": "splunk", "Config": {"splunk-url": "https://log"}},
        "HostConfig.Mounts": [{"Type": "volume", "Source": "a", "Target": "/a"}],
        "Labels": {"team": "web", "tier": "1"},
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 10},
        "ExposedPorts": {"90/tcp": {}},
    },
)


def with_setting(place: str, value: Any) -> ContainerSpec:
    return replace(LIVE, settings={**LIVE.settings, place: value})


def without_setting(place: str) -> ContainerSpec:
    return replace(LIVE, settings={key: value for key, value in LIVE.settings.items() if key != place})


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        (LIVE, []),
        (replace(LIVE, command=()), [Difference("Cmd", ["serve", "--all"], None)]),
        (replace(LIVE, command=("--all", "serve")), [Difference("Cmd", ["serve", "--all"], ["--all", "serve"])]),
        (
            replace(LIVE, ports=(ContainerPort(81),)),
            [
                Difference("HostConfig.PortBindings", "80/tcp", None),
                Difference("HostConfig.PortBindings", None, "81/tcp"),
            ],
        ),
        (replace(LIVE, volumes=Volumes(("data:/data",))), [Difference("Volumes", "/cache", None)]),
        (replace(LIVE, platform="linux/amd64"), [Difference("Platform", None, "linux/amd64")]),
        (with_setting("HostConfig.Memory", 1), [Difference("HostConfig.Memory", 134217728, 1)]),
        (without_setting("HostConfig.Memory"), [Difference("HostConfig.Memory", 134217728, None)]),
        (with_setting("HostConfig.Init", False), [Difference("HostConfig.Init", None, False)]),
        # An empty value is the same as none, and the order of capabilities does not matter.
        (with_setting("HostConfig.CapDrop", []), []),
        (with_setting("HostConfig.CapAdd", ["CAP_CHOWN", "CAP_NET_ADMIN"]), []),
        (with_setting("HostConfig.CapAdd", ["CAP_CHOWN"]), [Difference("HostConfig.CapAdd", "CAP_NET_ADMIN", None)]),
        # The order of servers does.
        (
            with_setting("HostConfig.Dns", ["8.8.8.8", "1.1.1.1"]),
            [Difference("HostConfig.Dns", ["1.1.1.1", "8.8.8.8"], ["8.8.8.8", "1.1.1.1"])],
        ),
        (
            with_setting("HostConfig.Ulimits", [{"Name": "nofile", "Soft": 11, "Hard": 20}]),
            [
                Difference(
                    "HostConfig.Ulimits",
                    {"Name": "nofile", "Soft": 10, "Hard": 20},
                    {"Name": "nofile", "Soft": 11, "Hard": 20},
                )
            ],
        ),
        (
            with_setting("Labels", {"team": "api", "tier": "1", "new": ""}),
            [Difference("Labels", "team=web", "team=api"), Difference("Labels", None, "new=")],
        ),
        (
            with_setting("Healthcheck", {"Test": ["CMD-SHELL", "false"], "Interval": 10}),
            [Difference("Healthcheck.Test", ["CMD-SHELL", "true"], ["CMD-SHELL", "false"])],
        ),
        (
            with_setting("ExposedPorts", {"90/tcp": {}, "91/tcp": {}}),
            [Difference("ExposedPorts", None, "91/tcp")],
        ),
        # The last entry of a variable counts, and their order does not.
        (replace(LIVE, env=("LANG=D", "GONE", "PASSWORD=hunter2", "LANG=C")), []),
        (
            replace(LIVE, env=("PASSWORD=hunter3", "GONE=1", "NEW=1")),
            [
                Difference("Env", "GONE", "GONE=***"),
                Difference("Env", "LANG=***", None),
                Difference("Env", "PASSWORD=***", "PASSWORD=***"),
                Difference("Env", None, "NEW=***"),
            ],
        ),
    ],
)
def test_what_differs(following: ContainerSpec, expected: list[Difference]) -> None:
    assert list(differences(LIVE, following)) == expected


def test_the_id_of_the_image_counts_and_not_its_name() -> None:
    live = Recipe(IMAGE, LIVE)
    assert is_same(live, Recipe(replace(IMAGE, name=ImageName.parse("web:v2"), revision="c2"), LIVE))
    assert not is_same(live, Recipe(replace(IMAGE, id="sha256:2"), LIVE))
    assert not is_same(live, Recipe(IMAGE, without_setting("Labels")))


SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "secret",
    [
        replace(LIVE, env=(f"ANY={SECRET}",)),
        replace(LIVE, command=("serve", f"--password={SECRET}")),
        replace(LIVE, command=("serve", f"https://me:{SECRET}@db/")),
        with_setting("HostConfig.LogConfig", {"Type": "splunk", "Config": {"splunk-url": f"{SECRET}"}}),
        with_setting("Labels", {"api-token": SECRET}),
        with_setting("Healthcheck", {"Test": ["CMD-SHELL", f"curl -H Token={SECRET} x"]}),
        with_setting(
            "HostConfig.Mounts",
            [{"Target": "/a", "VolumeOptions": {"DriverConfig": {"Options": {"o": f"username=me,password={SECRET}"}}}}],
        ),
        with_setting("HostConfig.Mounts", [{"Target": "/a", "VolumeOptions": {"DriverConfig": {"Secret": SECRET}}}]),
    ],
)
def test_a_secret_is_compared_and_never_shown(secret: ContainerSpec) -> None:
    for found in (differences(LIVE, secret), differences(secret, LIVE)):
        assert found
        assert SECRET not in repr(found)


# -- properties

NAMES = st.sampled_from(["A", "B", "C"])
TEXTS = st.text(max_size=5)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "HostConfig.Memory": st.integers(0, 3),
        "HostConfig.Init": st.booleans(),
        "User": TEXTS,
        "HostConfig.Dns": st.lists(st.sampled_from(["1.1.1.1", "8.8.8.8"]), unique=True),
        "HostConfig.CapAdd": st.lists(st.sampled_from(["ALL", "CAP_CHOWN"]), unique=True),
        "HostConfig.Ulimits": st.lists(
            st.fixed_dictionaries({"Name": NAMES, "Soft": st.integers(0, 1)}), unique_by=lambda one: str(one["Name"])
        ),
        "HostConfig.Tmpfs": st.dictionaries(st.sampled_from(["/a", "/b"]), TEXTS),
        "Labels": st.dictionaries(NAMES, TEXTS),
        "NetworkingConfig.EndpointsConfig": st.dictionaries(
            NAMES, st.fixed_dictionaries({}, optional={"Aliases": st.lists(NAMES)})
        ),
    },
)
SPECS = st.builds(
    ContainerSpec,
    command=st.lists(TEXTS, max_size=2).map(tuple),
    env=st.lists(st.builds("{}={}".format, NAMES, TEXTS) | NAMES, max_size=3).map(tuple),
    ports=st.lists(st.builds(ContainerPort, st.integers(1, 3)), unique=True, max_size=2).map(tuple),
    volumes=st.builds(Volumes, st.lists(st.sampled_from(["a:/a", "b:/b"]), unique=True).map(tuple)),
    settings=SETTINGS,
    platform=st.sampled_from(["", "linux/amd64"]),
)
PROPERTY = settings(deadline=None, derandomize=True, database=None)


@PROPERTY
@given(SPECS)
def test_nothing_differs_from_itself(spec: ContainerSpec) -> None:
    assert differences(spec, spec) == ()


@PROPERTY
@given(SPECS, SPECS)
def test_both_directions_find_the_same(live: ContainerSpec, following: ContainerSpec) -> None:
    def found(one: ContainerSpec, other: ContainerSpec, *, swap: bool) -> list[str]:
        pairs = [(each.next, each.live) if swap else (each.live, each.next) for each in differences(one, other)]
        return sorted(json.dumps(side) for pair in pairs for side in pair if side is not None)

    assert found(live, following, swap=False) == found(following, live, swap=True)


@PROPERTY
@given(SPECS, SPECS)
def test_two_versions_are_the_same_exactly_if_their_requests_are(live: ContainerSpec, following: ContainerSpec) -> None:
    assert (differences(live, following) == ()) == (request(live) == request(following))


def request(spec: ContainerSpec) -> str:
    """Return the request that creates the container, without what the engine does not distinguish."""
    given_settings = {place: value for place, value in spec.settings.items() if value not in ("", [], {})}
    body: dict[str, Any] = create_body("web", 0, "web-0", Recipe(IMAGE, replace(spec, settings=given_settings)))
    del body["Labels"]["hanoverd.given"]
    body["Env"] = {entry.partition("=")[0]: entry for entry in body["Env"]}
    for key in ("CapAdd", "Binds"):
        body["HostConfig"][key] = sorted(body["HostConfig"].get(key) or ())
    return json.dumps([body, spec.platform], sort_keys=True)


@PROPERTY
@given(SPECS)
def test_a_version_that_was_created_does_not_differ_from_what_was_requested(spec: ContainerSpec) -> None:
    body: Any = create_body("web", 0, "web-0", Recipe(IMAGE, spec))
    env = {entry.partition("=")[0]: entry for entry in body["Env"]}
    config = {**body, "Cmd": body.get("Cmd"), "Env": [entry for entry in env.values() if "=" in entry]}
    # The engine completes some settings, and discards others.
    host = {**body["HostConfig"], "Memory": 7, "Ulimits": None}
    found = {"Image": IMAGE.id, "Config": config, "HostConfig": host}
    assert differences(requested_recipe(found, {}).options, spec) == ()


def test_the_image_of_a_recipe_is_compared_by_its_id() -> None:
    live = Recipe(IMAGE, LIVE)
    renamed = replace(live, image=replace(IMAGE, name=ImageName.parse("other:v9")))
    assert recipe_differences(live, renamed) == ()
    rebuilt = Recipe(replace(IMAGE, id="sha256:2"), with_setting("HostConfig.Memory", 1))
    assert recipe_differences(live, rebuilt) == (
        Difference("Image", "web:v1 (sha256:1)", "web:v1 (sha256:2)"),
        Difference("HostConfig.Memory", 134217728, 1),
    )
