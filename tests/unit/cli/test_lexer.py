"""Splitting a command line by docker's rules."""

from __future__ import annotations

import pytest

from hanoverd.cli.lexer import lex
from hanoverd.cli.options.option import Kind, Option
from hanoverd.runtime.errors import UsageError

OPTIONS = (
    Option("colour", "", letter="c", metavar="NAME"),
    Option("size", "", metavar="BYTES"),
    Option("quiet", "", letter="q", kind=Kind.BOOLEAN),
    Option("raw", "", letter="r", kind=Kind.BOOLEAN),
)


def lexed(*arguments: str) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """The options with their values, and the rest."""
    taken: list[tuple[str, str]] = []
    rest = lex(arguments, OPTIONS, lambda option, value: taken.append((option.name, value)))
    return taken, rest


@pytest.mark.parametrize(
    ("arguments", "taken"),
    [
        (["--colour=red"], [("colour", "red")]),
        (["--colour", "red"], [("colour", "red")]),
        (["-cred"], [("colour", "red")]),
        (["-c=red"], [("colour", "red")]),
        (["-c", "red"], [("colour", "red")]),
        (["--colour="], [("colour", "")]),
        (["--colour", ""], [("colour", "")]),
        (["--colour=a=b"], [("colour", "a=b")]),
        (["-c="], [("colour", "=")]),
        (["--colour", "--quiet"], [("colour", "--quiet")]),
        (["-c", "--"], [("colour", "--")]),
        (["--quiet"], [("quiet", "true")]),
        (["--quiet=no"], [("quiet", "no")]),
        (["-qrc", "red"], [("quiet", "true"), ("raw", "true"), ("colour", "red")]),
        (["-qcr"], [("quiet", "true"), ("colour", "r")]),
        (["-qr=false"], [("quiet", "true"), ("raw", "false")]),
        (["-colour", "x"], [("colour", "olour")]),
    ],
)
def test_options_and_values_are_written_in_many_ways(arguments: list[str], taken: list[tuple[str, str]]) -> None:
    assert lexed(*arguments)[0] == taken


@pytest.mark.parametrize(
    ("arguments", "rest"),
    [
        (["-q", "web", "-c", "red"], ("web", "-c", "red")),
        (["-q", "--", "web", "sh"], ("web", "sh")),
        (["web", "--", "sh"], ("web", "--", "sh")),
        (["--quiet", "false"], ("false",)),
        (["-", "-q"], ("-", "-q")),
        (["", "-q"], ("", "-q")),
        (["--"], ()),
        ([], ()),
    ],
)
def test_options_end_at_the_first_argument_that_is_none(arguments: list[str], rest: tuple[str, ...]) -> None:
    assert lexed(*arguments)[1] == rest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nothing"], "unknown flag: --nothing"),
        (["--nothing=5"], "unknown flag: --nothing"),
        (["--col=red"], "unknown flag: --col"),
        (["--Size", "5"], "unknown flag: --Size"),
        (["-x"], "unknown shorthand flag: 'x' in -x"),
        (["-qxr"], "unknown shorthand flag: 'x' in -xr"),
        (["-h"], "unknown shorthand flag: 'h' in -h"),
        (["-q="], "unknown shorthand flag: '=' in -="),
        (["--size"], "flag needs an argument: --size"),
        (["-qc"], "flag needs an argument: 'c' in -c"),
        (["---size"], "bad flag syntax: ---size"),
        (["--=5"], "bad flag syntax: --=5"),
    ],
)
def test_what_cannot_be_understood_is_told_in_dockers_words(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        lexed(*arguments)
    assert str(caught.value).startswith(message)


def test_an_unknown_option_is_told_with_the_nearest_one_and_where_to_look() -> None:
    with pytest.raises(UsageError) as caught:
        lexed("--color", "red")
    assert str(caught.value) == ("unknown flag: --color (did you mean --colour?). Run it with --help for the options")


def test_an_option_without_its_value_is_told_with_what_it_takes() -> None:
    with pytest.raises(UsageError, match=r"\(write -c, --colour NAME\)"):
        lexed("-c")


def test_the_first_error_on_the_line_wins() -> None:
    def refuse(option: Option, value: str) -> None:
        raise UsageError(f"{option.name} cannot be {value}")

    with pytest.raises(UsageError, match="size cannot be 5"):
        lex(["--size", "5", "--nothing"], OPTIONS, refuse)
