"""What holds for every ``.dockerignore`` and every Dockerfile."""

from __future__ import annotations

import posixpath
from contextlib import suppress
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.docker.dockerignore import Ignored
from tests.unit.strategies import text_like

#: Segments of patterns and paths from few letters, so that they often match.
_segments = st.text("ab", min_size=1, max_size=2)
_globs = st.text("ab*?", min_size=1, max_size=3).filter(lambda text: "**" not in text) | st.just("**")
_paths = st.lists(_segments, min_size=1, max_size=4).map("/".join)
#: "**" last has rules of its own.
_patterns = st.tuples(st.lists(_globs, max_size=3), _globs.filter(lambda text: text != "**")).map(
    lambda parts: [*parts[0], parts[1]]
)


@cache
def matches(pattern: str, path: str) -> bool:
    """Whether a pattern without "**" matches one segment of a path: each character is looked at by itself."""
    if not pattern or not path:
        return pattern.strip("*") == path
    if pattern[0] == "*":
        return matches(pattern[1:], path) or matches(pattern, path[1:])
    return pattern[0] in ("?", path[0]) and matches(pattern[1:], path[1:])


def matches_path(patterns: list[str], segments: list[str]) -> bool:
    """Whether the segments of a pattern match those of a path."""
    if not patterns or not segments:
        return not segments and all(pattern == "**" for pattern in patterns)
    if patterns[0] == "**":
        return matches_path(patterns[1:], segments) or matches_path(patterns, segments[1:])
    return matches(patterns[0], segments[0]) and matches_path(patterns[1:], segments[1:])


def is_matched(patterns: list[str], path: str) -> bool:
    """Whether a pattern matches a path or one of the folders that hold it."""
    return any(matches_path(patterns, above.split("/")) for above in with_parents(path))


def with_parents(path: str) -> list[str]:
    """Return a path after the folders that hold it."""
    segments = path.split("/")
    return ["/".join(segments[: count + 1]) for count in range(len(segments))]


@given(text_like("ab*?[]^-!/\\#. \n"))
def test_a_dockerignore_is_read_or_refused_with_a_value_error(text: str) -> None:
    with suppress(ValueError):
        Ignored.read(text)


@given(st.lists(_patterns, max_size=3), _paths)
def test_a_path_is_ignored_if_a_pattern_matches_it_or_a_folder_above(patterns: list[list[str]], path: str) -> None:
    ignored = Ignored.read("\n".join("/".join(pattern) for pattern in patterns))
    assert ignored.verdict(path).is_ignored == any(is_matched(pattern, path) for pattern in patterns)


@given(_patterns, _patterns, _paths)
def test_an_exception_wins_where_the_pattern_before_it_matches(
    first: list[str], exception: list[str], path: str
) -> None:
    ignored = Ignored.read(f"{'/'.join(first)}\n!{'/'.join(exception)}\n")
    # As in Docker's client: an exception that matches a folder which is not ignored does not cover what is below.
    is_excepted = any(
        matches_path(exception, above.split("/")) for above in with_parents(path) if is_matched(first, above)
    )
    assert ignored.verdict(path).is_ignored == (is_matched(first, path) and not is_excepted)


@given(st.lists(_patterns, max_size=3), _paths)
def test_a_file_that_is_needed_is_never_ignored(patterns: list[list[str]], path: str) -> None:
    ignored = Ignored.read("\n".join("/".join(pattern) for pattern in patterns), [path])
    assert not ignored.verdict(path).is_ignored


@given(st.lists(_patterns, max_size=2), _paths)
def test_a_folder_is_searched_if_it_holds_an_exception(patterns: list[list[str]], path: str) -> None:
    lines = ["/".join(pattern) for pattern in patterns]
    ignored = Ignored.read("\n".join([*lines, f"!{path}"]))
    folder = posixpath.dirname(path)
    while folder:
        assert ignored.may_hold_exceptions(folder)
        folder = posixpath.dirname(folder)


@given(text_like("RUNCOPY -<\\\n#=sytax`mo'", 60))
def test_any_dockerfile_is_read(text: str) -> None:
    reason = buildkit_only(text)
    assert reason is None or ", line " in reason


_instructions = st.sampled_from(
    ["FROM x", "RUN make", "COPY --chown=1 a b", 'CMD ["x"]', "# --mount", "", "RUN a && \\\n  b"]
)


@given(st.lists(_instructions), st.lists(_instructions))
def test_the_first_instruction_that_needs_buildkit_is_found_at_its_line(before: list[str], after: list[str]) -> None:
    text = "\n".join([*before, "RUN --mount=type=ssh make", *after])
    line = sum(1 + part.count("\n") for part in before) + 1
    assert buildkit_only("\n".join(before)) is None
    assert buildkit_only(text) == f"RUN --mount, line {line}"
