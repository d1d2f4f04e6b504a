"""What is derived from the rows of the table of options."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from types import UnionType
from typing import Any, get_args, get_type_hints

import pytest

from hanoverd.cli.command import Command
from hanoverd.cli.commands import BUILDER, DAEMON, REMOTE
from hanoverd.cli.given import Given
from hanoverd.cli.lexer import lex
from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, Context, Value, plain
from hanoverd.docker.inspection import recipe_of
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.container import ContainerSpec, Image, Recipe, create_body
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.programs import BuilderSpec, RemoteCommand
from hanoverd.text.durations import parse_duration
from hanoverd.text.sizes import parse_size


def type_at(kind: Any, place: str) -> Any:
    """The type at a place of a specification; KeyError if there is no such place."""
    for name in place.split("."):
        kind = get_type_hints(kind)[name]
        if isinstance(kind, UnionType):
            kind = next(one for one in get_args(kind) if one is not type(None))
    return kind


@pytest.mark.parametrize(
    ("command", "spec"),
    [(DAEMON, AppSpec), (BUILDER, BuilderSpec), *((command, RemoteCommand) for command in REMOTE)],
    ids=lambda value: value.name if isinstance(value, Command) else "",
)
def test_each_place_is_in_the_specification_with_the_type_of_the_default(command: Command, spec: type[Any]) -> None:
    for option in command.options:
        if not option.place:
            continue
        kind = type_at(spec, option.place)
        if option.default is not None:
            value = option.value.read(option.default, Context({}, "/"))
            assert value is None or isinstance(value, kind), option
        if option.kind is Kind.BOOLEAN:
            assert kind is bool


def test_docker_s_own_settings_have_a_place_in_the_request_and_none_in_the_specification() -> None:
    requests = [option.request for option in DAEMON.options if option.request]
    assert len(set(requests)) == len(requests)
    for option in DAEMON.options:
        assert not (option.place and option.request), option
    names = {field.name for field in dataclasses.fields(ContainerSpec)}
    assert names == {"command", "env", "ports", "volumes", "settings", "inputs", "platform"}


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key, value


def _ulimit(text: str) -> dict[str, object]:
    name, _, limits = text.partition("=")
    soft, _, hard = limits.partition(":")
    return {"Name": name, "Soft": int(soft), "Hard": int(hard or soft)}


#: Rows for docker's options of every kind of value.
ROWS = (
    Option(name="workdir", letter="w", help="", value=plain(str), request="WorkingDir"),
    Option(name="init", help="", kind=Kind.BOOLEAN, value=BOOLEAN, request="HostConfig.Init"),
    Option(name="memory", letter="m", help="", value=plain(parse_size), request="HostConfig.Memory"),
    Option(
        name="health-interval",
        help="",
        value=plain(lambda text: int(parse_duration(text) * 10**9)),
        request="Healthcheck.Interval",
    ),
    Option(
        name="cap-add",
        help="",
        kind=Kind.REPEATED,
        value=Value(lambda text, _: text, join=list),
        request="HostConfig.CapAdd",
    ),
    Option(
        name="sysctl",
        help="",
        kind=Kind.REPEATED,
        value=Value(lambda text, _: _pair(text), join=dict),
        request="HostConfig.Sysctls",
    ),
    Option(
        name="ulimit",
        help="",
        kind=Kind.REPEATED,
        value=Value(lambda text, _: _ulimit(text), join=list),
        request="HostConfig.Ulimits",
    ),
)

LINE = (
    *("-w", "/srv", "--init=false", "-m", "512m", "--health-interval", "1m30s", "--cap-add", "NET_ADMIN"),
    *("--cap-add=SYS_TIME", "--sysctl", "net.core.somaxconn=1024", "--ulimit", "nofile=1024:2048"),
)

SETTINGS = {
    "WorkingDir": "/srv",
    "HostConfig.Init": False,
    "HostConfig.Memory": 512 * 1024**2,
    "Healthcheck.Interval": 90 * 10**9,
    "HostConfig.CapAdd": ["NET_ADMIN", "SYS_TIME"],
    "HostConfig.Sysctls": {"net.core.somaxconn": "1024"},
    "HostConfig.Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
}


def test_a_row_is_all_that_an_option_of_docker_needs() -> None:
    given = Given(ROWS, Context({}, "/"))
    assert lex((*LINE, "image"), ROWS, given.take) == ("image",)
    given.finish()
    assert given.tree() == {"container": {"settings": SETTINGS}}


def test_a_setting_is_in_the_request_and_is_read_back_from_the_container() -> None:
    recipe = Recipe(Image("sha256:1", ImageName("web"), ()), ContainerSpec(settings=SETTINGS))
    body: Any = create_body("web", 0, "web-0", recipe)
    assert body["HostConfig"]["Memory"] == 512 * 1024**2
    assert body["Healthcheck"] == {"Interval": 90 * 10**9}
    assert body["WorkingDir"] == "/srv"
    config = {"User": "of the image", **{key: value for key, value in body.items() if key != "HostConfig"}}
    inspected = {
        "Image": "sha256:1",
        "Config": config,
        "HostConfig": {"Memory": 0, "PidMode": "", **body["HostConfig"]},
    }
    assert recipe_of(inspected, {}).options == recipe.options


def test_a_label_gives_no_power_over_the_host() -> None:
    claimed = {"command": False, "env": [], "unset": [], "volumes": [], "settings": {"HostConfig.Privileged": True}}
    inspected = {
        "Image": "sha256:1",
        "Config": {"Labels": {"hanoverd.given": json.dumps(claimed)}},
        "HostConfig": {"Privileged": False},
    }
    assert recipe_of(inspected, {}).options.settings == {"HostConfig.Privileged": False}


def test_the_first_error_on_the_line_is_reported() -> None:
    given = Given(ROWS, Context({}, "/"))
    with pytest.raises(UsageError, match='invalid argument "much" for "-m, --memory" flag: invalid size'):
        lex(("-m", "much", "--health-interval", "x"), ROWS, given.take)


@pytest.mark.parametrize("start", ["main(['hookbot', 'serve'])", "twistd()"])
def test_a_command_line_is_read_once(start: str) -> None:
    code = (
        "import sys\n"
        "from hanoverd.cli import process\n"
        "from hanoverd.cli.main import main\n"
        "read, reads = process.read_line, []\n"
        "process.read_line = lambda *arguments: reads.append(arguments) or read(*arguments)\n"
        "def twistd():\n"
        "    from twisted.scripts.twistd import run\n"
        "    sys.argv = ['twistd', '-n', '--pidfile=', 'hanoverd', 'hookbot', 'serve']\n"
        "    run()\n"
        "from hanoverd import tap\n"
        "def assemble(*arguments, **named):\n"
        "    print(len(reads), arguments[0].port)\n"
        "    raise SystemExit\n"
        "tap.assemble = assemble\n"
        f"{start}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={"HOOKBOT_KEY": "key"}
    )
    assert done.stdout.splitlines() == ["1 8080"], done.stderr
