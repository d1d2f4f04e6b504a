"""``hanoverd diff``: how it is written, and what it prints."""

from __future__ import annotations

from typing import Any

import pytest

from hanoverd.cli.client.differences import _OPTIONS, as_json, named, option_of, plain, text, with_published
from hanoverd.cli.line import read_line
from hanoverd.cli.options.container import CONTAINER
from hanoverd.cli.parse import parse
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.differences import PORTS, Difference
from hanoverd.spec.ports import parse_publish
from hanoverd.spec.programs import DiffSpec, RemoteCommand


@pytest.mark.parametrize("line", ["diff web", "diff --name web", "diff -- web"])
def test_an_app_alone_asks_the_running_hanoverd(line: str) -> None:
    assert parse(line.split(), {}, "/srv/app") == RemoteCommand("diff", "web")


@pytest.mark.parametrize("line", ["diff --format json web", "diff web --format json", "diff --format=json --name=web"])
def test_the_format_can_be_anywhere_before_the_image(line: str) -> None:
    assert parse(line.split(), {}, "/srv/app") == RemoteCommand("diff", "web", json=True)


@pytest.mark.parametrize(
    "line",
    [
        "web --memory 64m web:v2 serve --format json",
        "--memory 64m web web:v2 serve --format json",
        "--name web --memory 64m web:v2 serve --format json",
    ],
)
def test_the_rest_is_the_command_line_of_a_start(line: str) -> None:
    spec = parse(["diff", *line.split()], {}, "/srv/app")
    assert isinstance(spec, DiffSpec)
    start = parse(["--name", "web", "--memory", "64m", "web:v2", "serve", "--format", "json"], {}, "/srv/app")
    assert (spec.app, spec.json) == (start, False)


def test_options_without_an_image_are_those_of_a_start_in_this_folder() -> None:
    spec = parse(["diff", "web", "-m", "64m"], {}, "/srv/app")
    assert isinstance(spec, DiffSpec)
    assert (spec.app.name, spec.app.source.name.text, spec.app.source.folder) == ("web", ".", "/srv/app")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("diff", "diff needs the name of an app"),
        ("diff --format yaml web", "it must be text or json"),
        ("diff web:v2", "Invalid container name (web:v2)"),
        ("diff web --memory much", "invalid size"),
        ("diff web --dry-run", "unknown flag: --dry-run"),
    ],
)
def test_what_is_wrong(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split(), {}, "/srv/app")
    assert reason in str(caught.value)


def test_its_secrets_are_masked_as_those_of_a_start() -> None:
    shown = read_line(["diff", "web", "-e", "PASSWORD=hunter2", "web:v2"], {}, "/").without_secrets()
    assert shown == ["diff", "--name=web", "--env=PASSWORD=***", "--", "web:v2"]


def lines(*found: Difference) -> list[str]:
    return text("web-3", plain(found)).splitlines()


def test_lines_are_those_of_diff() -> None:
    assert lines(
        Difference("Image", "web:v1 (1)", "web:v2 (2)"),
        Difference("HostConfig.Memory", 134217728, 268435457),
        Difference("HostConfig.ShmSize", 65536, 2**30),
        Difference("HostConfig.NanoCpus", None, 1500000000),
        Difference("Healthcheck.Interval", 90 * 10**9, None),
        Difference("HostConfig.Init", None, True),
        Difference("Entrypoint", ["/bin/a b"], []),
        Difference("Env", "A=***", "A=***"),
        Difference("HostConfig.Ulimits", {"Name": "nofile", "Soft": 1}, None),
        Difference("NetworkingConfig.EndpointsConfig.blue.Aliases", None, "web"),
    ) == [
        "--- web-3",
        "+++ the next version",
        "- image: web:v1 (1)",
        "+ image: web:v2 (2)",
        "- memory: 128m",
        "+ memory: 268435457",
        "- shm-size: 64k",
        "+ shm-size: 1g",
        "+ cpus: 1.5",
        "- health-interval: 90s",
        "+ init: true",
        '- entrypoint: ["/bin/a b"]',
        "+ entrypoint: []",
        "- env: A=***",
        "+ env: A=***",
        '- ulimit: {"Name": "nofile", "Soft": 1}',
        "+ network: web",
    ]


def test_what_is_unknown_has_a_sign_of_its_own() -> None:
    found = Difference("Image", "web (1)", "build /srv: unknown until it is built", is_unknown=True)
    assert lines(found)[2:] == ["- image: web (1)", "? image: build /srv: unknown until it is built"]


def test_a_value_cannot_start_a_line_of_its_own() -> None:
    assert lines(Difference("Labels", None, "a=1\n- memory: 1\x1b[2J"))[2:] == [r"+ label: a=1\n- memory: 1\x1b[2J"]


def test_without_differences_nothing_is_printed() -> None:
    assert (text("web-3", []), as_json([])) == ("", "")


def test_json_has_an_object_a_line() -> None:
    found = named({"place": "HostConfig.Memory", "live": 1, "next": None, "is_unknown": False})
    assert found == {"option": "memory", "place": "HostConfig.Memory", "live": 1, "next": None, "unknown": False}
    assert as_json([found, found]).count("\n") == 2


def test_each_place_has_an_option() -> None:
    names = {option.name for option in CONTAINER} | {"image", "command", "platform"}
    assert {*_OPTIONS.values()} <= names
    for option in CONTAINER:
        if option.request:
            assert option_of(option.request) == option.name
            assert option_of(f"{option.request}.Part") == option.name
    assert option_of("Unknown.Place") == "settings"


# -- host ports

ROUTES: list[dict[str, Any]] = [
    {"host_ip": "0.0.0.0", "host_port": 8080, "container_ip": "172.17.0.2", "container_port": 80},
    {"host_ip": "127.0.0.1", "host_port": 8443, "container_ip": "172.17.0.2", "container_port": 443},
]


def test_a_port_of_another_protocol_is_another_port() -> None:
    udp = {**ROUTES[0], "protocol": "udp"}
    found = with_published([], [udp], parse_publish("8080:80"))
    assert found == (Difference(PORTS, "0.0.0.0:8080:80/udp"), Difference(PORTS, None, "8080:80"))
    assert with_published([], [udp], parse_publish("8080:80/udp")) == ()


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        (["8080:80", "127.0.0.1:8443:443"], []),
        (["127.0.0.1:8443:443", "8000-8100:80"], []),
        (["80", "127.0.0.1:8443:443"], []),
        (["8081:80", "127.0.0.1:8443:443"], [("0.0.0.0:8080:80", None), (None, "8081:80")]),
        (["8080:80", "8443:443"], [("127.0.0.1:8443:443", None), (None, "8443:443")]),
        (["8080:80"], [("127.0.0.1:8443:443", None)]),
        (["8080:80", "127.0.0.1:8443:443", "81"], [(None, "81")]),
    ],
)
def test_host_ports_are_compared_with_the_routes(
    published: list[str], expected: list[tuple[str | None, str | None]]
) -> None:
    requests = [request for one in published for request in parse_publish(one)]
    other = Difference("User", None, "app")
    found = with_published([Difference(PORTS, "1/tcp"), other], ROUTES, requests)
    assert found == (other, *(Difference(PORTS, *pair) for pair in expected))
