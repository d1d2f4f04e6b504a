"""Patterns of ``.dockerignore`` mean what they mean to Docker, and need linear time."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.docker.dockerignore import Ignored
from hanoverd.docker.globs import Globs, tokens
from tests.unit.docker.reference import Reference, expression
from tests.unit.strategies import text_like
from tests.unit.timing import assert_linear, shortest

#: Few characters, so that patterns often match: with and without a meaning in a class.
_patterns = text_like("ab*?/[]^-\\.", 10) | st.lists(
    st.sampled_from(["*", "**", "**/", "/", "a", "b", "?", "[ab]", "[^a]", "[a-b]"]), max_size=8
).map("".join)
_names = st.text("ab-^.]\\", min_size=1, max_size=4)
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)


@given(_patterns, _paths)
def test_a_pattern_matches_what_its_regular_expression_matches(pattern: str, path: str) -> None:
    try:
        expected = expression(pattern)
    except (re.error, FutureWarning):
        return
    globs = Globs([tokens(pattern)])
    matches = bool([*globs.ended(globs.after(globs.start, path))])
    assert matches == (expected.fullmatch(path) is not None)


@given(_patterns)
def test_the_same_patterns_are_invalid_as_for_regular_expressions(pattern: str) -> None:
    try:
        expression(pattern)
    except FutureWarning:
        return
    except re.error:
        with pytest.raises(ValueError):
            tokens(pattern)
    else:
        tokens(pattern)


@given(st.lists(_patterns, max_size=5), _paths)
def test_patterns_together_match_as_each_alone(patterns: list[str], path: str) -> None:
    valid = []
    for pattern in patterns:
        try:
            valid.append(tokens(pattern))
        except ValueError:
            continue
    together = Globs(valid)
    matched = {*together.ended(together.after(together.start, path))}
    for end, one in zip(together.ends, valid, strict=True):
        alone = Globs([one])
        assert (end in matched) == bool([*alone.ended(alone.after(alone.start, path))])


_clean = st.lists(st.sampled_from(["a", "b", "*", "**", "a*", "?", "[^a]b", "*b*"]), min_size=1, max_size=3).map(
    "/".join
)


@given(st.lists(st.tuples(_clean, st.booleans()), max_size=5), _paths)
def test_the_verdict_is_that_of_the_regular_expressions(patterns: list[tuple[str, bool]], path: str) -> None:
    text = "\n".join(f"{'!' if is_exception else ''}{pattern}" for pattern, is_exception in patterns)
    assert Ignored.read(text).verdict(path).is_ignored == Reference(patterns).is_ignored(path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        # Of each, the size of the pattern or of the path grows.
        (lambda size: "*a" * (2 * size), lambda _: "a" * 4000 + "b"),
        (lambda size: "**/" * size + "x", lambda _: "/".join("a" * 2000)),
        (lambda size: "**/a/" * size + "x", lambda _: "/".join("a" * 2000)),
        (lambda size: "[^b]*?" * size, lambda _: "a" * 4000),
        (lambda _: "*a*a*a*a*a*a", lambda size: "a" * (100 * size) + "b"),
        (lambda _: "**/**/**/*a/**/*a/**/x", lambda size: "/".join("a" * (50 * size))),
        (lambda size: "**/a*b*c?d[a-z]*\n" * (2 * size), lambda _: "a" * 2000),
        (lambda size: "**\n!**\n" * size, lambda _: "a/a"),
        (lambda size: "".join(f"a{number}\n" for number in range(20 * size)), lambda _: "a"),
    ],
)
def test_ten_times_the_input_takes_at_most_fifteen_times_as_long(
    text: Callable[[int], str], path: Callable[[int], str]
) -> None:
    def verdict(size: int) -> Callable[[], object]:
        return lambda: Ignored.read(text(size)).verdict(path(size))

    assert_linear(verdict(40), verdict(400))


def test_patterns_that_froze_a_regular_expression_are_decided_at_once() -> None:
    names = Ignored.read("*a" * 6)
    folders = Ignored.read("**/" * 8 + "x")
    # A regular expression that backtracks needs half a minute for each.
    assert shortest(lambda: names.verdict("a" * 150 + "b")) < 0.1
    assert shortest(lambda: folders.verdict("/".join("a" * 40))) < 0.1
