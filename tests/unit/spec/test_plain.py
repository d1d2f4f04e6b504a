"""Specifications as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.cli.parse import parse
from hanoverd.spec.app import AppSpec
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.handover import DrainSpec, HandoverSpec
from hanoverd.spec.health import HealthSpec, ProbeSpec
from hanoverd.spec.plain import from_plain, to_plain
from hanoverd.spec.ports import PortRequest
from hanoverd.spec.programs import BuilderSpec, HookbotServerSpec, RemoteCommand
from hanoverd.spec.status_codes import StatusCodes
from hanoverd.text.moments import Moment

#: What Docker's own settings can be: JSON.
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_seconds = st.floats(allow_nan=False, allow_infinity=False)
_numbers = st.tuples(st.integers(0, 65535), st.integers(0, 65535)).map(lambda ends: range(*ends))

for kind, strategy in {
    BuilderSpec: st.builds(BuilderSpec, obtain_timeout=_seconds),
    ContainerSpec: st.builds(ContainerSpec, settings=st.dictionaries(st.text(max_size=9), _json, max_size=3)),
    DrainSpec: st.builds(DrainSpec, grace=_seconds, timeout=_seconds),
    HandoverSpec: st.builds(HandoverSpec, obtain_timeout=_seconds, settle=_seconds),
    StatusCodes: st.builds(StatusCodes, st.lists(_numbers, max_size=3).map(tuple)),
    ProbeSpec: st.builds(ProbeSpec, interval=st.none() | _seconds),
    HealthSpec: st.builds(HealthSpec, ready_timeout=_seconds, interval=_seconds),
    PortRequest: st.builds(PortRequest, numbers=st.none() | _numbers, address=st.ip_addresses()),
    RemoteCommand: st.builds(RemoteCommand, since=st.none() | st.builds(Moment, _seconds, st.none() | _seconds)),
}.items():
    st.register_type_strategy(kind, strategy)


@pytest.mark.parametrize("kind", [AppSpec, BuilderSpec, HookbotServerSpec, RemoteCommand])
@given(st.data())
def test_a_specification_survives_json(kind: type[Any], data: st.DataObject) -> None:
    spec = data.draw(st.from_type(kind))
    assert from_plain(kind, json.loads(json.dumps(to_plain(spec)))) == spec


LINE = (
    *("-p", "127.0.0.1:8080-8090:80", "-e", "PASSWORD=hunter2", "--build-arg", "TOKEN=hunter2", "--init"),
    *("--hook", "live=date", "--notify", "https://h.example/hunter2", "--mount", "type=tmpfs,dst=/t"),
)


def test_the_specification_of_a_command_line_survives_json() -> None:
    spec = parse(LINE, {"HOOKBOT_URL": "wss://hunter2@h.example/sub/hanoverd/cwd"}, "/srv/web")
    assert from_plain(AppSpec, json.loads(json.dumps(to_plain(spec)))) == spec


@pytest.mark.parametrize(
    "arguments",
    [
        (*LINE, "https://me:hunter2@git.example/me/web.git#main"),
        (*LINE, "git+https://hunter2@git.example/me/web"),
        (*LINE, "docker-archive:https://files.example/web.tar?signature=hunter2"),
        ("--hookbot=wss://hunter2@h.example/sub/hanoverd/cwd",),
        ("--notify=https://h.example/", "web"),
        ("--status-header", "Authorization: Bearer hunter2", "web"),
        (
            *("builder", "--listen", "wss://hunter2@h.example/sub/hanoverd/cwd"),
            *("--docker-notify", "https://hunter2@h.example/pub/docker-pull/me/web/tag/main"),
        ),
        ("hookbot", "serve", "--router", "github"),
    ],
    ids=lambda arguments: arguments[-1],
)
def test_no_secret_is_in_its_repr(arguments: tuple[str, ...]) -> None:
    environ = {"HOOKBOT_KEY": "hunter2", "HOOKBOT_GITHUB_SECRET": "hunter2", "HANOVERD_NOTIFY_SECRET": "hunter2"}
    spec = parse(arguments, environ, "/srv/web", lambda: ["docker-archive"])
    assert "hunter2" in json.dumps(to_plain(spec))
    assert "hunter2" not in repr(spec)


@pytest.mark.parametrize("data", [None, 1, {}, {"name": "web"}, {"unknown": 1}, {"verb": 1, "app": "web"}])
def test_other_data_is_refused(data: Any) -> None:
    with pytest.raises(ValueError, match="not the data of a RemoteCommand"):
        from_plain(RemoteCommand, data)
