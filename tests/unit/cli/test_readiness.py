"""The options of readiness: what they mean together, and what is refused at start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanoverd.cli.line import read_line
from hanoverd.cli.parse import parse
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.health import ProbeSpec, StatusKind
from hanoverd.spec.status_codes import StatusCodes
from tests.unit.cli.test_docker_run import dry_run


def probe_of(*arguments: str) -> ProbeSpec:
    """How a version is probed with these options."""
    spec = parse([*arguments, "img"], {}, "/srv/web")
    assert isinstance(spec, AppSpec)
    return spec.health.probe


def test_without_options_a_version_is_asked_for_200_over_http() -> None:
    assert probe_of() == ProbeSpec(
        kind=StatusKind.HTTP, uri="/", headers=(), ok=StatusCodes.parse("200"), port=None, interval=None, successes=1
    )


@pytest.mark.parametrize(
    ("arguments", "probe"),
    [
        (["--status-kind=https"], ProbeSpec(kind=StatusKind.HTTPS)),
        (["--status-kind", "tcp", "--status-port", "5432"], ProbeSpec(kind=StatusKind.TCP, port=5432)),
        (["--status-kind", "docker", "--status-interval", "2s"], ProbeSpec(kind=StatusKind.DOCKER, interval=2.0)),
        (["--status-kind", "none"], ProbeSpec(kind=StatusKind.NONE)),
        (["--status-ok", "200-299,301"], ProbeSpec(ok=StatusCodes((range(200, 300), range(301, 302))))),
        (["--status-successes", "3"], ProbeSpec(successes=3)),
        (
            ["--status-header", "Host: a.example", "--status-header=X-Key:1"],
            ProbeSpec(headers=(("Host", "a.example"), ("X-Key", "1"))),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_they_mean(arguments: list[str], probe: ProbeSpec) -> None:
    assert probe_of(*arguments) == probe


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--status-kind ftp", "it must be http or https or tcp or docker or none"),
        ("--status-port 0", "it must be a port of the container, 1 to 65535"),
        ("--status-port 65536", "it must be a port of the container, 1 to 65535"),
        ("--status-ok 2xx", '"2xx" is not an HTTP status or a range of them'),
        ("--status-successes 0", "it must be a number, 1 or more"),
        ("--status-interval 0", "--status-interval must be more than 0"),
        ("--status-header Host:a --status-header host:b", "--status-header: Host is given twice"),
        (
            "--status-kind tcp --status-header X:1",
            "--status-header has no meaning with --status-kind tcp: tcp only opens",
        ),
        ("--status-kind tcp --status-uri /up", "--status-uri has no meaning with --status-kind tcp"),
        ("--status-kind docker --status-ok 204", "--status-ok has no meaning with --status-kind docker: docker asks"),
        ("--status-kind docker --status-port 80", "--status-port has no meaning with --status-kind docker"),
        ("--status-kind docker --status-successes 2", "--status-successes has no meaning with --status-kind docker"),
        ("--status-kind docker --no-healthcheck", "--no-healthcheck disables the check that --status-kind docker"),
        ("--status-kind none --status-interval 1s", "--status-interval has no meaning with --status-kind none: none"),
        ("--status-kind none --status-timeout 1s", "--status-timeout 1s is too short: a version needs more than 1s"),
        ("--status-successes 10 --status-timeout 2s", "a version needs more than 2.2s to be ready with --status-succ"),
        ("--status-successes 3 --status-interval 1m --status-timeout 2m", "3 and this --status-interval"),
    ],
)
def test_what_has_no_meaning_is_refused_with_the_reason(line: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        probe_of(*line.split())
    assert reason in str(caught.value)


def test_the_value_of_a_header_is_shown_nowhere(tmp_path: Path) -> None:
    given = ["--status-header", "Authorization: Bearer hunter2", "--status-header", "Host: a.example"]
    document = dry_run([*given, "img"], tmp_path, {})
    assert document["settings"]["status-header"] == ["Authorization: ***", "Host: ***"]
    assert "hunter2" not in json.dumps(document)
    assert "hunter2" not in repr(parse([*given, "img"], {}, "/"))


@pytest.mark.parametrize("text", ["Bearer hunter2", "X: hunter2\n", "Host: hunter2 x", "Connection: hunter2"])
def test_an_error_does_not_repeat_the_value(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        probe_of("--status-header", text)
    assert "hunter2" not in str(caught.value)
    assert "--status-header" in str(caught.value)


def test_other_users_see_the_names_of_headers_alone() -> None:
    line = read_line(["--status-header", "Authorization: Bearer hunter2", "img"], {}, "/")
    assert line.without_secrets() == ["--status-header=Authorization: ***", "--", "img"]
