"""A whole command line, read into settings."""

from __future__ import annotations

import pytest

from hanoverd import __version__
from hanoverd.commandline.help import usage_text
from hanoverd.commandline.parse import InfoRequested, parse
from hanoverd.commandline.settings import Settings
from hanoverd.errors import UsageError
from hanoverd.model.images import ImageName
from hanoverd.model.publish import Publish


def settings(*arguments: str) -> Settings:
    """What a command line means in a folder of its own."""
    return parse(arguments, {"COLOUR": "blue"}, "/srv/Corner Shop")


def refusal(*arguments: str) -> str:
    """What a command line that is wrong is answered with."""
    with pytest.raises(UsageError) as caught:
        settings(*arguments)
    return str(caught.value)


def test_without_arguments_the_folder_is_built_with_the_defaults() -> None:
    assert settings() == Settings(
        folder="/srv/Corner Shop",
        image=None,
        command=(),
        app="corner-shop",
        env=(),
        publish=(),
        binds=(),
        anonymous_volumes=(),
        mounts=(),
        status_uri="/",
        status_timeout=300.0,
        disable_overlap=False,
        overlap_grace=1.0,
        drain_timeout=30.0,
        drain_signal=None,
        stop_timeout=None,
        stop_signal=None,
    )


def test_every_option_arrives() -> None:
    found = settings(
        *("-e", "COLOUR", "--env=SIZE=9", "-p", "9000:7000", "-v", "./data:/data", "--volume", "/cache"),
        *("--mount", "type=tmpfs,dst=/tmp", "--name", "shop", "--status-uri", "/up?deep=1"),
        *(
            "--status-timeout=90s",
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
            "team/web:2",
            "serve",
            "--fast",
        ),
    )
    assert found == Settings(
        folder="/srv/Corner Shop",
        image=ImageName("team/web", "2"),
        command=("serve", "--fast"),
        app="shop",
        env=("COLOUR=blue", "SIZE=9"),
        publish=(Publish(None, range(9000, 9001), 7000),),
        binds=("/srv/Corner Shop/data:/data",),
        anonymous_volumes=("/cache",),
        mounts=({"Type": "tmpfs", "Target": "/tmp"},),  # a path in the container
        status_uri="/up?deep=1",
        status_timeout=90.0,
        disable_overlap=True,
        overlap_grace=0.0,
        drain_timeout=120.0,
        drain_signal="SIGUSR1",
        stop_timeout=60,
        stop_signal="SIGQUIT",
    )


@pytest.mark.parametrize(
    ("arguments", "image", "command"),
    [
        (["@"], None, ()),
        (["@", "serve", "-p"], None, ("serve", "-p")),
        (["--", "@", "serve"], None, ("serve",)),
        (["web"], ImageName("web"), ()),
        (["web", "@"], ImageName("web"), ("@",)),
        (["web", "--", "x"], ImageName("web"), ("--", "x")),
    ],
)
def test_an_at_sign_stands_for_the_folder_so_that_a_command_can_follow(
    arguments: list[str], image: ImageName | None, command: tuple[str, ...]
) -> None:
    found = settings(*arguments)
    assert (found.image, found.command) == (image, command)


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
    assert settings("--help=false").image is None


def test_after_the_image_help_is_an_argument() -> None:
    assert settings("web", "--help").command == ("--help",)
