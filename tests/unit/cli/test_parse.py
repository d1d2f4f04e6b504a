"""A whole command line, read into a specification."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hanoverd import __version__
from hanoverd.cli.help import usage_text
from hanoverd.cli.line import InfoRequested, read_line
from hanoverd.cli.parse import AnySpec, parse
from hanoverd.cli.secrets import VARIABLE, environment_for, take_arguments
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.git_options import GitOptions
from hanoverd.spec.handover import DrainSpec, HandoverSpec
from hanoverd.spec.health import HealthSpec, ProbeSpec
from hanoverd.spec.notifications import Hook, NotificationSpec
from hanoverd.spec.ports import ContainerPort, PortRequest
from hanoverd.spec.programs import HookbotServerSpec
from hanoverd.spec.restart import RestartPolicy
from hanoverd.spec.retention import RetentionSpec
from hanoverd.spec.source import SourceSpec
from hanoverd.spec.source_name import SourceName
from hanoverd.spec.volumes import Volumes


def spec(*arguments: str) -> AppSpec:
    """What a command line means in a folder of its own."""
    found = any_spec(*arguments)
    assert isinstance(found, AppSpec)
    return found


def any_spec(*arguments: str, **environ: str) -> AnySpec:
    """The same, of whichever program is meant."""
    return parse(arguments, {"COLOUR": "blue", **environ}, "/srv/Corner Shop", lambda: ["docker-archive", "other"])


def refusal_of_any(*arguments: str, **environ: str) -> str:
    """What a command line that is wrong is answered with."""
    with pytest.raises(UsageError) as caught:
        any_spec(*arguments, **environ)
    return str(caught.value)


FOLDER = SourceSpec(SourceName("folder", "."), folder="/srv/Corner Shop")


def refusal(*arguments: str) -> str:
    """What a command line that is wrong is answered with."""
    with pytest.raises(UsageError) as caught:
        spec(*arguments)
    return str(caught.value)


def test_without_arguments_the_folder_is_built_with_the_defaults() -> None:
    assert spec() == AppSpec(
        name="corner-shop",
        source=FOLDER,
        container=ContainerSpec(),
        ports=(),
        health=HealthSpec(ready_timeout=300.0, interval=0.0, failures=3),
        handover=HandoverSpec(obtain_timeout=1800.0, drain=DrainSpec(grace=1.0, timeout=30.0)),
        restart=RestartPolicy("always"),
        retention=RetentionSpec(versions=3, on_exit="stop"),
    )


def test_every_option_arrives() -> None:
    found = spec(
        *("-e", "COLOUR", "--env=SIZE=9", "-p", "9000:7000", "-v", "./data:/data", "--volume", "/cache", "--init"),
        *("--mount", "type=tmpfs,dst=/tmp", "--name", "shop", "--status-uri", "/up?deep=1"),
        *(
            "--status-timeout=90s",
            "--obtain-timeout=10m",
            "--disable-overlap",
            "--overlap-grace-duration",
            "0",
            "--drain-timeout",
            "2m",
        ),
        *(
            "--drain-signal",
            "usr1",
            "--stop-timeout",
            "1m",
            "--stop-signal",
            "3",
            "--restart=on-failure:3",
            "--on-exit=keep",
            "--settle=30s",
            "--watch=5s",
            "--watch-failures=2",
            "--hook=live=echo now",
            "--hook",
            "died=x=1; echo",
            "--notify=https://hooks.example/secret",
            "--keep-versions=4",
            "--log-format=json",
            *("--build-file=Dockerfile.web", "--build-arg=A=1", "--build-arg=COLOUR", "--build-target=last"),
            *("--no-cache", "--builder=classic", "--pull=never", "--git-protocol=ssh", "--state-dir=state"),
            "--build-context-limit=2g",
            *("--git-submodules=github.com/me/*", "--git-submodules=h:8/a/b", "--git-max-size=20g"),
            "--archive-max-size=1.5g",
            "team/web:2",
            "serve",
            "--fast",
        ),
    )
    assert found == AppSpec(
        name="shop",
        source=replace(
            FOLDER,
            name=SourceName("image", "team/web:2"),
            state_folder="/srv/Corner Shop/state",
            build=BuildOptions(
                "Dockerfile.web",
                {"A": "1", "COLOUR": "blue"},
                "last",
                no_cache=True,
                builder="classic",
                context_limit=2 << 30,
            ),
            pull="never",
            git=GitOptions("ssh", ("github.com/me/*", "h:8/a/b"), 20 * 1024**3),
            max_archive_size=1536 * 1024**2,
        ),
        container=ContainerSpec(
            command=("serve", "--fast"),
            env=("COLOUR=blue", "SIZE=9"),
            ports=(ContainerPort(7000),),
            volumes=Volumes(("/srv/Corner Shop/data:/data",), ("/cache",)),
            settings={
                "HostConfig.Mounts": [{"Type": "tmpfs", "Target": "/tmp"}],  # a path in the container
                "HostConfig.Init": True,
                "StopTimeout": 60,
                "StopSignal": "3",
            },
        ),
        ports=(PortRequest(ContainerPort(7000), range(9000, 9001)),),
        health=HealthSpec(90.0, 5.0, 2, ProbeSpec(uri="/up?deep=1")),
        handover=HandoverSpec(
            obtain_timeout=600.0,
            drain=DrainSpec(grace=0.0, timeout=120.0, signal="SIGUSR1"),
            stop_first=True,
            settle=30.0,
        ),
        restart=RestartPolicy("on-failure", 3),
        retention=RetentionSpec(versions=4, on_exit="keep"),
        notifications=NotificationSpec(
            (Hook("live", "echo now"), Hook("died", "x=1; echo")), ("https://hooks.example/secret",)
        ),
        log_format="json",
    )


@pytest.mark.parametrize(
    ("arguments", "source", "command"),
    [
        (["@"], "folder:.", ()),
        (["@", "serve", "-p"], "folder:.", ("serve", "-p")),
        (["--", "@", "serve"], "folder:.", ("serve",)),
        (["shop"], "image:shop", ()),
        (["shop", "@"], "image:shop", ("@",)),
        (["shop", "--", "x"], "image:shop", ("--", "x")),
        (["builder:latest"], "image:builder:latest", ()),
        (["--", "builder"], "image:builder", ()),
        (["localhost:5000/web:1"], "image:localhost:5000/web:1", ()),
        (["github.com/me/Shop#main:web"], "git:github.com/me/Shop#main:web", ()),
        (["https://git.example/me/shop.git"], "git:https://git.example/me/shop.git", ()),
        (["git+file:///srv/shop"], "git:file:///srv/shop", ()),
        (["git@git.example:me/shop.git"], "git:git@git.example:me/shop.git", ()),
        (["docker-archive:./shop.tar.gz"], "docker-archive:./shop.tar.gz", ()),
        (["other:thing", "-x"], "other:thing", ("-x",)),
        (["nothing:thing"], "image:nothing:thing", ()),
        ([f"web@sha256:{'0' * 64}"], f"image:web@sha256:{'0' * 64}", ()),
    ],
)
def test_the_first_argument_is_the_source_and_a_command_can_follow(
    arguments: list[str], source: str, command: tuple[str, ...]
) -> None:
    found = spec(*arguments)
    name = found.source.name
    assert (f"{name.scheme}:{name.text}", found.container.command) == (source, command)


@pytest.mark.parametrize(
    ("arguments", "app"),
    [
        (["host:5000/team/web"], "web"),
        (["--name", "x", "web"], "x"),
        (["@"], "corner-shop"),
        ([], "corner-shop"),
    ],
)
def test_the_app_is_called_after_the_option_the_image_or_the_folder(arguments: list[str], app: str) -> None:
    assert spec(*arguments).name == app


def test_the_last_value_counts_where_one_is_taken() -> None:
    assert spec("--drain-timeout=5s", "--drain-timeout", "7s").handover.drain.timeout == 7.0
    assert not spec("--disable-overlap", "--disable-overlap=false").handover.stop_first


def test_a_volume_given_twice_counts_once() -> None:
    assert spec("-v", "/x:/x", "-v", "/x:/x").container.volumes.binds == ("/x:/x",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-e", "=9"], 'invalid argument "=9" for "-e, --env" flag: invalid environment variable: =9'),
        (["--mount", "x"], 'invalid argument "x" for "--mount" flag: invalid field \'x\' must be'),
        (
            ["--drain-timeout", "30"],
            'invalid argument "30" for "--drain-timeout" flag: time: missing unit in',
        ),
        (
            ["--status-timeout", "1d"],
            'invalid argument "1d" for "--status-timeout" flag: time: unknown unit "d"',
        ),
        (["--drain-timeout=-5s"], "--drain-timeout cannot be negative"),
        (["--overlap-grace-duration=-1ms"], "--overlap-grace-duration cannot be negative"),
        (["--status-timeout=-1s"], "--status-timeout cannot be negative"),
        (["--status-timeout=0s"], "--status-timeout must be more than 0: write 30s or 5m, for example"),
        (["--obtain-timeout=-1s"], "--obtain-timeout cannot be negative"),
        (["--obtain-timeout", "0"], "--obtain-timeout must be more than 0: write"),
        (
            ["--disable-overlap=no"],
            'invalid argument "no" for "--disable-overlap" flag: strconv.ParseBool: parsing',
        ),
        (
            ["--stop-timeout", "x"],
            'invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x"',
        ),
        (["--stop-signal", "NOPE"], "invalid signal: NOPE"),
        (["--drain-signal", "KILL"], "SIGKILL ends the old version at once"),
        (
            ["--name", "my shop"],
            "Invalid container name (my shop), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (["--status-uri", "up"], 'invalid argument "up" for "--status-uri" flag: it must begin with /'),
        (["--status-uri", ""], 'invalid argument "" for "--status-uri" flag: it must begin with /'),
        (["--status-uri", "/a b"], 'invalid argument "/a b" for "--status-uri" flag: it has a character'),
        (["--status-uri", "/a\r\nX: y"], 'invalid argument "/a\\r\\nX: y" for "--status-uri" flag: it has'),
        (["-p", "9000:http"], "invalid containerPort: http"),
        (["-p", "9000:1", "-p", "9000:2"], "host port 9000 is published twice"),
        (["-v", "/x:/x:bogus"], "invalid mode: bogus"),
        (["-v", "/x:/x", "--mount", "dst=/x"], "Duplicate mount point: /x"),
        (["Web"], "invalid reference format: repository name (library/Web) must be lowercase"),
        ([""], "invalid reference format"),
        (["-e", "A=\udcff"], "the argument 'A=\\udcff' is not UTF-8"),
    ],
)
def test_what_is_wrong_is_told_in_dockers_words(arguments: list[str], message: str) -> None:
    assert refusal(*arguments).startswith(message)


def test_a_late_error_tells_the_option_that_it_comes_from_and_what_that_takes() -> None:
    assert refusal("-p", "9000:http").endswith(
        '(in --publish "9000:http", which takes [HOSTIP:][HOSTPORT:]PORT[/tcp|udp])'
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nothing", "-e", "=9"], "unknown flag: --nothing"),
        (["-e", "=9", "--nothing"], 'invalid argument "=9"'),
        (["-p", "x", "-e", "=9", "IMG"], 'invalid argument "=9"'),
        (["-p", "x", "-v", "", "IMG"], "invalid empty volume spec"),
        (["IMG", "-p", "x"], "invalid reference format"),
        (["-p", "x", "IMG"], "invalid containerPort: x"),
    ],
)
def test_of_several_errors_the_one_is_told_that_docker_would_tell(arguments: list[str], message: str) -> None:
    assert refusal(*arguments).startswith(message)


@pytest.mark.parametrize("arguments", [["--help"], ["-p", "bad", "--help"], ["--help", "--version", "IMG"]])
def test_help_is_given_before_late_errors(arguments: list[str]) -> None:
    with pytest.raises(InfoRequested) as caught:
        spec(*arguments)
    assert str(caught.value) == usage_text()


def test_the_version_is_told() -> None:
    with pytest.raises(InfoRequested, match=f"^hanoverd {__version__}$"):
        spec("--version")


def test_help_that_is_refused_is_not_given() -> None:
    assert spec("--help=false").source == FOLDER


def test_after_the_image_help_is_an_argument() -> None:
    assert spec("shop", "--help").container.command == ("--help",)


@pytest.mark.parametrize(
    ("source", "app"),
    [
        ("github.com/me/Corner_Shop#main", "corner_shop"),
        ("https://git.example/me/shop.git#main:web", "shop"),
        ("https://me:secret@git.example/shop.git", "shop"),
        ("git@git.example:shop.git", "shop"),
        ("docker-archive:/srv/shop-1.tar.gz", "shop-1"),
        ("docker-archive:https://files.example/a/shop.tar?sig=1", "shop"),
        ("docker-archive:s3://bucket/a/shop.tar.zst", "shop"),
    ],
)
def test_an_app_is_called_after_its_source(source: str, app: str) -> None:
    assert spec(source).name == app


def test_hookbot_says_what_to_obtain_and_what_the_app_is_called() -> None:
    found = spec("--hookbot", "wss://TOKEN@hook.example/sub/github.com/repo/Me/Shop/branch/main#web")
    assert found.name == "shop"
    assert found.source.name == SourceName("git", "github.com/Me/Shop#main:web")
    found = spec("--hookbot", "wss://hook.example/sub/docker-pull/localhost:5000/me/shop/tag/main")
    assert (found.name, found.source.name.text) == ("shop", "localhost:5000/me/shop:main")
    assert found.source.pull == "always"
    found = spec("--pull=missing", "--hookbot", "wss://hook.example/sub/hanoverd/cwd")
    assert (found.name, found.source.name.scheme, found.source.pull) == ("corner-shop", "folder", "missing")


def test_the_secret_of_notifications_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"hunter2\xff\r\n\n")
    found = spec("--notify-secret-file", str(file), "--notify-format", "slack")
    assert os.fsencode(found.notifications.secret) == b"hunter2\xff"
    assert found.notifications.format == "slack"
    from_environment = any_spec(HANOVERD_NOTIFY_SECRET="hunter3")
    assert isinstance(from_environment, AppSpec)
    assert (from_environment.notifications.secret, from_environment.notifications.format) == ("hunter3", "json")
    both = any_spec("--notify-secret-file", str(file), HANOVERD_NOTIFY_SECRET="hunter3")
    assert isinstance(both, AppSpec)
    assert both.notifications.secret == found.notifications.secret
    assert "hunter" not in repr(found) + repr(from_environment)
    file.write_text("\n")
    assert "secret is empty" in refusal("--notify-secret-file", str(file))
    assert "no such file" in refusal("--notify-secret-file", str(tmp_path / "missing"))


def test_hookbot_can_be_named_in_the_environment() -> None:
    found = any_spec(HOOKBOT_URL="ws://T@localhost/sub/hanoverd/cwd")
    assert isinstance(found, AppSpec)
    assert found.hookbot is not None
    assert found.hookbot.subscription.url.token == "T"
    assert "T@" not in repr(found)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--hookbot", "wss://T@h/sub/else"], "'/sub/else\" is not a topic that hanoverd supports: use /sub/HOST/repo"),
        (["--hookbot", "wss://T@h/pub/hanoverd/cwd"], "is not a topic that hanoverd supports"),
        (["--hookbot", "wss://T@h/unsafe/sub/hanoverd/cwd"], "write --hookbot-unsafe if"),
        (["--hookbot", "wss://T@h/sub/x.org/repo/u/r/branch/-x"], "'-x' is not the name of a branch"),
        (["--hookbot", "T@h/sub/hanoverd/cwd"], "must look like wss://TOKEN@HOST/sub/TOPIC"),
        (["--hookbot", "wss://T@h/sub/hanoverd/cwd", "web"], "already says what to obtain"),
        (
            ["--pull", "sometimes"],
            """invalid pull option: 'sometimes': must be one of "always", "missing" or "never\"""",
        ),
        (["--watch-failures", "0"], "it must be a number, 1 or more"),
        (["--hook", "sometimes=x"], "write EVENT=COMMAND, with EVENT one of obtained, ready"),
        (["--notify", "hooks.example"], "it must be a URL"),
        (["--notify-format", "teams"], "it must be json or slack"),
        (["--restart", "sometimes"], "unknown policy 'sometimes'"),
        (["--builder=podman"], "it must be auto or classic or buildkit"),
        (["--build-arg", "=x"], "invalid build argument"),
        (["builder"], "the builder needs --listen URL (or HOOKBOT_MONITOR_URL)"),
        (["builder", "--listen", "ws://h/sub/hanoverd/cwd"], "the builder needs --docker-notify URL"),
        (["builder", "--publish", "80"], "unknown flag: --publish"),
        (
            ["builder", "--listen=ws://h/sub/hanoverd/cwd", "--docker-notify=ws://h/sub/x"],
            "should be /pub/docker-pull/",
        ),
        (["builder", "x"], "builder takes no arguments"),
        (["hookbot"], "write `hanoverd hookbot serve` or `hanoverd hookbot make-tokens`"),
        (["hookbot", "serve"], "HOOKBOT_KEY is not set"),
        (["hookbot", "serve", "--bind", "80"], "is no address: write [HOST]:PORT"),
        (["hookbot", "serve", "--tls-key", "k"], "--tls-cert and --tls-key need each other"),
        (["hookbot", "make-tokens"], "make-tokens needs URLs"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_told_without_the_token(arguments: list[str], reason: str) -> None:
    message = refusal_of_any(*arguments)
    assert reason.replace("'/sub", '"/sub') in message
    assert "T@" not in message


@pytest.mark.parametrize(
    ("arguments", "host"),
    [
        ([], "127.0.0.1"),
        (["--bind", ":80"], "127.0.0.1"),
        (["--bind", ":443", "--tls-cert", "c", "--tls-key", "k"], ""),
        (["--bind", "0.0.0.0:80"], "0.0.0.0"),
        (["--bind", "[::]:80"], "::"),
    ],
)
def test_without_tls_hookbot_listens_on_the_host_only_unless_an_address_is_given(
    arguments: list[str], host: str
) -> None:
    found = any_spec("hookbot", "serve", *arguments, HOOKBOT_KEY="key")
    assert isinstance(found, HookbotServerSpec)
    assert (found.host, found.per_address) == (host, 100)


def test_an_address_may_have_any_number_of_connections() -> None:
    found = any_spec("hookbot", "serve", "--connections-per-address", "0", HOOKBOT_KEY="key")
    assert isinstance(found, HookbotServerSpec)
    assert found.per_address is None


def test_tokens_are_printed() -> None:
    key = {"HOOKBOT_KEY": "key"}
    with pytest.raises(InfoRequested) as made:
        any_spec("hookbot", "make-tokens", "/sub/hanoverd/cwd", "wss://hook.example/pub/a", **key)
    assert str(made.value).splitlines() == [
        "ws://3c3389077ea4c81cbe7289ee7a48cde7108ab83d@localhost:8080/sub/hanoverd/cwd",
        "wss://b437bfb46b342120017f001cb3353daf6a575258@hook.example/pub/a",
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("-p 80 -e COLOUR --name n i -e C", None),
        ("--hookbot ws://h/sub/hanoverd/cwd", None),
        ("git@example.com:team/app.git", None),
        (
            "-e A=S3CRET --env=COLOUR -eB= --build-arg T=S3CRET --name=n i -e C",
            "--env=A=*** --env=COLOUR --env=B=*** --build-arg=T=*** --name=n -- i -e C",
        ),
        ("--notify https://h/S3CRET", "--notify=***"),
        ("--hook live=S3CRET", "--hook=live=***"),
        (
            "-p 80 --hookbot wss://S3CRET@h/sub/hanoverd/cwd --no-cache @",
            "--publish=80 --hookbot=wss://***@h/sub/hanoverd/cwd --no-cache=true -- @",
        ),
        ("https://me:S3CRET@git.example/team/app", "-- https://***@git.example/team/app"),
        ("docker-archive:https://h/app.tar?token=S3CRET", "-- docker-archive:https://h/app.tar?***"),
        (
            "builder --listen=ws://S3CRET@h/sub/hanoverd/cwd --docker-notify ws://S3CRET@h/pub/docker-pull/a/tag/b",
            "builder --listen=ws://***@h/sub/hanoverd/cwd --docker-notify=ws://***@h/pub/docker-pull/a/tag/b",
        ),
    ],
)
def test_what_other_users_see_of_a_command_line(given: str, shown: str | None) -> None:
    found = read_line(given.split(), {}, "/").without_secrets()
    assert found == (None if shown is None else shown.split())


def test_the_real_arguments_come_back_for_the_masked_ones_only() -> None:
    given, shown = ["-e", "A=S3CRET"], ["--env=A=***"]
    environ = environment_for(given, shown)
    assert take_arguments(shown, environ) == given
    # No child gets the variable.
    assert environ == {}
    assert take_arguments(shown, {}) is shown
    for other in (json.dumps({"shown": ["x"], "arguments": given}), "{", "[]", "7", "{}", '{"shown": ["--env=A=***"]}'):
        environ = {VARIABLE: other}
        assert take_arguments(shown, environ) is shown
        assert environ == {}


@pytest.mark.parametrize("option", ["--hookbot", "--notify"])
def test_an_error_does_not_repeat_a_secret(option: str) -> None:
    assert "T0KEN" not in refusal_of_any(option, "ftp://T0KEN@hooks.example/x")


def test_an_error_does_not_repeat_the_command_of_a_hook() -> None:
    error = refusal("--hook", "born=curl -H 'Authorization: Bearer T0KEN' x")
    assert error.startswith("write EVENT=COMMAND")
    assert '(in --hook "born=***"' in error


@pytest.mark.parametrize(
    "url",
    [
        "https://me:T0KEN@h/x",
        "https://T0KEN@h/",
        "https://h/ü",
        "https://h\u2028/",
        "https://h:x/",
        "https://h:65536/",
        "https://h:0/",
        "https://[::g]/",
        "https://h/\x1b",
    ],
)
def test_a_web_hook_must_be_a_url_that_can_be_asked(url: str) -> None:
    error = refusal("--notify", url)
    assert "without a user name" in error
    assert "T0KEN" not in error


@pytest.mark.parametrize("url", ["http://h", "https://h:8080/x/%20?a=b#c", "https://[::1]:1/", "https://a-b.example?x"])
def test_a_web_hook(url: str) -> None:
    found = spec("--notify", url)
    assert found.notifications.urls == (url,)
