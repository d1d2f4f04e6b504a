"""A whole command line, read into settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hanoverd import __version__
from hanoverd.cli.help import usage_text
from hanoverd.cli.parse import InfoRequested, parse
from hanoverd.cli.secrets import SECRETS, with_secrets, without_secrets
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.build import BuildOptions
from hanoverd.spec.ports import ContainerPort, PortRequest
from hanoverd.spec.restart import RestartPolicy
from hanoverd.spec.settings import Asked, Obtaining, Settings
from hanoverd.spec.source_name import SourceName


def settings(*arguments: str) -> Settings:
    """What a command line means in a folder of its own."""
    found = any_settings(*arguments)
    assert isinstance(found, Settings)
    return found


def any_settings(*arguments: str, **environ: str) -> Asked:
    """The same, of whichever program is meant."""
    return parse(arguments, {"COLOUR": "blue", **environ}, "/srv/Corner Shop", lambda: ["docker-archive", "other"])


def refusal_of_any(*arguments: str, **environ: str) -> str:
    """What a command line that is wrong is answered with."""
    with pytest.raises(UsageError) as caught:
        any_settings(*arguments, **environ)
    return str(caught.value)


FOLDER = Obtaining(
    folder="/srv/Corner Shop",
    state_folder="/srv/Corner Shop",
    source=SourceName("folder", "."),
    build=BuildOptions(),
    pull=None,
    git_protocol="https",
    hookbot=None,
    hookbot_ca=None,
)


def refusal(*arguments: str) -> str:
    """What a command line that is wrong is answered with."""
    with pytest.raises(UsageError) as caught:
        settings(*arguments)
    return str(caught.value)


def test_without_arguments_the_folder_is_built_with_the_defaults() -> None:
    assert settings() == Settings(
        obtaining=FOLDER,
        command=(),
        app="corner-shop",
        env=(),
        publish=(),
        binds=(),
        anonymous_volumes=(),
        mounts=(),
        status_uri="/",
        status_timeout=300.0,
        obtain_timeout=1800.0,
        disable_overlap=False,
        overlap_grace=1.0,
        drain_timeout=30.0,
        drain_signal=None,
        stop_timeout=None,
        stop_signal=None,
        restart=RestartPolicy("always"),
        on_exit="stop",
        settle=0.0,
        watch=0.0,
        watch_failures=3,
        hooks=(),
        notify=(),
        keep_versions=1,
        log_format="text",
    )


def test_every_option_arrives() -> None:
    found = settings(
        *("-e", "COLOUR", "--env=SIZE=9", "-p", "9000:7000", "-v", "./data:/data", "--volume", "/cache"),
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
            "team/web:2",
            "serve",
            "--fast",
        ),
    )
    assert found == Settings(
        obtaining=replace(FOLDER, source=SourceName("image", "team/web:2")),
        command=("serve", "--fast"),
        app="shop",
        env=("COLOUR=blue", "SIZE=9"),
        publish=(PortRequest(ContainerPort(7000), range(9000, 9001)),),
        binds=("/srv/Corner Shop/data:/data",),
        anonymous_volumes=("/cache",),
        mounts=({"Type": "tmpfs", "Target": "/tmp"},),  # a path in the container
        status_uri="/up?deep=1",
        status_timeout=90.0,
        obtain_timeout=600.0,
        disable_overlap=True,
        overlap_grace=0.0,
        drain_timeout=120.0,
        drain_signal="SIGUSR1",
        stop_timeout=60,
        stop_signal="SIGQUIT",
        restart=RestartPolicy("on-failure", 3),
        on_exit="keep",
        settle=30.0,
        watch=5.0,
        watch_failures=2,
        hooks=(("live", "echo now"), ("died", "x=1; echo")),
        notify=("https://hooks.example/secret",),
        keep_versions=4,
        log_format="json",
    )


@pytest.mark.parametrize(
    ("arguments", "source", "command"),
    [
        (["@"], "folder:.", ()),
        (["@", "serve", "-p"], "folder:.", ("serve", "-p")),
        (["--", "@", "serve"], "folder:.", ("serve",)),
        (["web"], "image:web", ()),
        (["web", "@"], "image:web", ("@",)),
        (["web", "--", "x"], "image:web", ("--", "x")),
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
    found = settings(*arguments)
    name = found.obtaining.source
    assert (f"{name.scheme}:{name.text}", found.command) == (source, command)


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
    assert settings(*arguments).app == app


def test_the_last_value_counts_where_one_is_taken() -> None:
    assert settings("--drain-timeout=5s", "--drain-timeout", "7s").drain_timeout == 7.0
    assert not settings("--disable-overlap", "--disable-overlap=false").disable_overlap


def test_a_volume_given_twice_counts_once() -> None:
    assert settings("-v", "/x:/x", "-v", "/x:/x").binds == ("/x:/x",)


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
        (["--status-timeout=0s"], "--status-timeout 0 leaves a version no time to get ready"),
        (["--obtain-timeout=-1s"], "--obtain-timeout cannot be negative"),
        (["--obtain-timeout", "0"], "--obtain-timeout 0 leaves no time to obtain an image: give it more, as in 30m"),
        (
            ["--disable-overlap=no"],
            'invalid argument "no" for "--disable-overlap" flag: strconv.ParseBool: parsing',
        ),
        (
            ["--stop-timeout", "x"],
            'invalid argument "x" for "--stop-timeout" flag: strconv.ParseInt: parsing "x"',
        ),
        (["--stop-signal", "NOPE"], "invalid signal: NOPE"),
        (["--drain-signal", "KILL"], "--drain-signal SIGKILL would end the old version"),
        (
            ["--name", "my shop"],
            "Invalid container name (my shop), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (["--status-uri", "up"], 'invalid argument "up" for "--status-uri" flag: it must begin with /'),
        (["--status-uri", ""], 'invalid argument "" for "--status-uri" flag: it must begin with /'),
        (["--status-uri", "/a b"], 'invalid argument "/a b" for "--status-uri" flag: it holds a character'),
        (["--status-uri", "/a\r\nX: y"], 'invalid argument "/a\\r\\nX: y" for "--status-uri" flag: it holds'),
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
    assert refusal("-p", "9000:http").endswith('(in --publish "9000:http", which takes [HOSTIP:][HOSTPORT:]PORT[/tcp])')


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
        settings(*arguments)
    assert str(caught.value) == usage_text()


def test_the_version_is_told() -> None:
    with pytest.raises(InfoRequested, match=f"^hanoverd {__version__}$"):
        settings("--version")


def test_help_that_is_refused_is_not_given() -> None:
    assert settings("--help=false").obtaining == FOLDER


def test_after_the_image_help_is_an_argument() -> None:
    assert settings("web", "--help").command == ("--help",)


@pytest.mark.parametrize(
    ("source", "app"),
    [
        ("github.com/me/Corner_Shop#main", "corner_shop"),
        ("https://git.example/me/shop.git#main:web", "shop"),
        ("git@git.example:shop.git", "shop"),
        ("docker-archive:/srv/shop-1.tar.gz", "shop-1"),
        ("docker-archive:https://files.example/a/shop.tar?sig=1", "shop"),
        ("docker-archive:s3://bucket/a/shop.tar.zst", "shop"),
    ],
)
def test_an_app_is_called_after_its_source(source: str, app: str) -> None:
    assert settings(source).app == app


def test_hookbot_says_what_to_obtain_and_what_the_app_is_called() -> None:
    found = settings("--hookbot", "wss://TOKEN@hook.example/sub/github.com/repo/Me/Shop/branch/main#web")
    assert found.app == "shop"
    assert found.obtaining.source == SourceName("git", "github.com/Me/Shop#main:web")
    found = settings("--hookbot", "wss://hook.example/sub/docker-pull/localhost:5000/me/shop/tag/main")
    assert (found.app, found.obtaining.source.text) == ("shop", "localhost:5000/me/shop:main")
    assert found.obtaining.pull == "always"
    found = settings("--pull=missing", "--hookbot", "wss://hook.example/sub/hanoverd/cwd")
    assert (found.app, found.obtaining.source.scheme, found.obtaining.pull) == ("corner-shop", "folder", "missing")


def test_hookbot_can_be_named_in_the_environment() -> None:
    found = any_settings(HOOKBOT_URL="ws://T@localhost/sub/hanoverd/cwd")
    assert isinstance(found, Settings)
    assert found.obtaining.hookbot is not None
    assert found.obtaining.hookbot.url.token == "T"
    assert "T@" not in repr(found)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--hookbot", "wss://T@h/sub/else"], "'/sub/else\" is no topic that hanoverd knows; it knows /sub/HOST/repo"),
        (["--hookbot", "wss://T@h/pub/hanoverd/cwd"], "is no topic that hanoverd knows"),
        (["--hookbot", "wss://T@h/unsafe/sub/hanoverd/cwd"], "say --hookbot-unsafe"),
        (["--hookbot", "wss://T@h/sub/x.org/repo/u/r/branch/-x"], "'-x' is no name of a branch"),
        (["--hookbot", "T@h/sub/hanoverd/cwd"], "must look like wss://TOKEN@HOST/sub/TOPIC"),
        (["--hookbot", "wss://T@h/sub/hanoverd/cwd", "web"], "says what to obtain already"),
        (
            ["--pull", "sometimes"],
            'invalid argument "sometimes" for "--pull" flag: it must be always or missing or never',
        ),
        (["--watch-failures", "0"], "it must be a number, 1 or more"),
        (["--hook", "sometimes=x"], "write EVENT=COMMAND, with EVENT one of obtained, ready"),
        (["--notify", "hooks.example"], "it must be a URL"),
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
    told = refusal_of_any(*arguments)
    assert reason.replace("'/sub", '"/sub') in told
    assert "T@" not in told


def test_tokens_are_printed() -> None:
    key = {"HOOKBOT_KEY": "key"}
    with pytest.raises(InfoRequested) as made:
        any_settings("hookbot", "make-tokens", "/sub/hanoverd/cwd", "wss://hook.example/pub/a", **key)
    assert str(made.value).splitlines() == [
        "http://3c3389077ea4c81cbe7289ee7a48cde7108ab83d@localhost:8080/sub/hanoverd/cwd",
        "wss://b437bfb46b342120017f001cb3353daf6a575258@hook.example/pub/a",
    ]


def test_a_command_line_without_its_tokens_means_the_same() -> None:
    given = ["-p", "80", "--hookbot", "wss://T@h/sub/hanoverd/cwd", "--no-cache", "@", "--hookbot", "wss://X@h/"]
    hidden, environ = without_secrets(given)
    assert hidden == ["--publish=80", "--no-cache=true", "--", "@", "--hookbot", "wss://X@h/"]
    assert any_settings(*hidden, **environ) == any_settings(*given)
    assert without_secrets(["--hookbot=ws://h/sub/hanoverd/cwd"])[1] == {}
    given = ["builder", "--listen=ws://T@h/sub/hanoverd/cwd", "--docker-notify", "ws://T@h/pub/docker-pull/a/tag/b"]
    hidden, environ = without_secrets(given)
    assert hidden == ["builder"]
    assert any_settings(*hidden, **environ) == any_settings(*given)


def test_a_command_line_without_the_values_of_its_variables_means_the_same() -> None:
    given = [
        "-e",
        "A=1",
        "--env=COLOUR",
        "-eB=",
        "--build-arg",
        "T=***",
        "--notify",
        "https://h/x",
        "--name=n",
        "i",
        "-e",
        "C",
    ]
    hidden, environ = without_secrets(given)
    assert hidden == [
        *(
            "--env=A=***",
            "--env=COLOUR",
            "--env=B=***",
            "--build-arg=T=***",
            "--notify=***",
            "--name=n",
            "--",
            "i",
            "-e",
            "C",
        )
    ]
    assert any_settings(*with_secrets(hidden, environ)) == any_settings(*given)
    # There is nothing to hide.
    assert without_secrets(["-e", "COLOUR", "--name", "n"])[1] == {}
    assert with_secrets(given, {}) == given
    assert SECRETS in environ
