"""The start of the page: its options, what is missing, and where it cannot listen."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock

from hanoverd.cli.parse import parse
from hanoverd.runtime import extras
from hanoverd.runtime.errors import MissingExtra, UsageError, WebError
from hanoverd.runtime.extras import Extra
from hanoverd.spec.web import WebSpec, parse_host_name
from hanoverd.web.wiring import assemble_web


def spec(*arguments: str) -> WebSpec:
    parsed = parse(["web", *arguments], {}, "/srv")
    assert isinstance(parsed, WebSpec)
    return parsed


def test_without_options_it_shows_the_apps_to_users_of_this_host() -> None:
    assert spec() == WebSpec("127.0.0.1", 8900)
    assert not spec().needs_login


@pytest.mark.parametrize(
    ("arguments", "needs_login"),
    [
        (["--bind", ":8900"], False),
        (["--bind", "localhost:8900"], False),
        (["--bind", "127.0.0.2:8900"], False),
        (["--bind", "[::1]:8900"], False),
        (["--bind", "0.0.0.0:8900"], True),
        (["--bind", "[::]:8900"], True),
        (["--bind", "192.0.2.1:8900"], True),
        (["--login"], True),
        (["--allow-host", "apps.example.com"], True),
        (["--allow-actions"], False),
    ],
)
def test_a_login_is_required_where_others_can_reach_the_page(arguments: list[str], needs_login: bool) -> None:
    assert spec(*arguments).needs_login is needs_login


@pytest.mark.parametrize("bind", ["8900", "apps.example.com:8900", "127.0.0.1:x", "127.0.0.1:65536", "127.1:80"])
def test_what_is_no_address(bind: str) -> None:
    with pytest.raises(UsageError, match="--bind"):
        spec("--bind", bind)


def test_names_are_compared_without_case() -> None:
    assert spec("--allow-host", "Apps.Example.com.", "--allow-host=10.0.0.1").allow_hosts == (
        "apps.example.com",
        "10.0.0.1",
    )
    assert parse_host_name("[2001:DB8::1]") == "2001:db8::1"


@pytest.mark.parametrize(
    "name", ["", "https://apps.example.com", "apps.example.com:443", "a b", "*", "-a", "a..b", "ä.example"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="without https:// and a port"):
        spec("--allow-host", name)


@pytest.mark.parametrize("module", ["klein", "jinja2", "prometheus_client"])
def test_a_package_that_is_missing_is_named_with_how_to_install_it(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == module else object())
    with pytest.raises(MissingExtra, match=rf"`hanoverd web` needs the Python package {module}.*'hanoverd\[web\]'"):
        assemble_web(spec(), {}, MemoryReactorClock())


def test_each_extra_is_in_setup_py() -> None:
    setup = (Path(__file__).parents[3] / "setup.py").read_text()
    for extra in Extra:
        assert f'"{extra.value[0]}": [' in setup


def test_the_first_start_prints_a_token_and_the_next_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"HANOVERD_STATE_DIR": str(tmp_path), "HANOVERD_RUNTIME_DIR": str(tmp_path)}
    for shown in ("with this token", ""):
        assemble_web(spec("--login"), environ, MemoryReactorClock())
        assert shown in capsys.readouterr().out
    assert (tmp_path / "page.token").exists()


def test_without_a_login_there_is_no_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assemble_web(spec(), {"HANOVERD_STATE_DIR": str(tmp_path)}, MemoryReactorClock())
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_address_that_is_taken_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reactor = MemoryReactorClock()

    def fail(*_: object, **__: object) -> None:
        raise CannotListenError("127.0.0.1", 8900, OSError(98, "Address already in use"))

    monkeypatch.setattr(reactor, "listenTCP", fail)
    with pytest.raises(WebError, match=r"127\.0\.0\.1:8900: Address already in use: choose another --bind"):
        assemble_web(spec(), {}, reactor)
