"""Whether a Dockerfile needs BuildKit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hanoverd.docker.dockerfile import buildkit_only
from tests.unit.timing import assert_linear


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM x\nRUN --mount=type=cache,target=/c make\n", "RUN --mount, line 2"),
        ("from x\nrun --network=none make\n", "RUN --network, line 2"),
        ("FROM x\nCOPY --link a b\n", "COPY --link, line 2"),
        ("FROM x\nCOPY --chown=1 --chmod=755 a b\n", "COPY --chmod, line 2"),
        ("FROM x\nADD --checksum=sha256:0 http://a b\n", "ADD --checksum, line 2"),
        ("FROM x\n\nRUN <<EOF\nmake\nEOF\n", "RUN <<, line 3"),
        ("FROM x\nCOPY <<-'EOF' /etc/motd\nhi\nEOF\n", "COPY <<, line 2"),
        ('FROM x\nRUN cat 3<<"A" > b\nA\n', "RUN <<, line 2"),
        ("# syntax=docker/dockerfile:1\nFROM x\n", "# syntax=, line 1"),
        ("# escape=`\n# syntax = x/y\nFROM x\n", "# syntax=, line 2"),
        ("FROM x\nRUN \\\n  # why\n\n  --mount=type=tmpfs,target=/t make\n", "RUN --mount, line 2"),
        ("# escape=`\nFROM x\nRUN `\n --mount=type=ssh make\n", "RUN --mount, line 3"),
        ("FROM x\nONBUILD RUN --mount=type=ssh make\n", "RUN --mount, line 2"),
        ("FROM x\nRUN make --mount=x\n", None),
        ("FROM --platform=linux/amd64 x\nCOPY --from=a --chown=1:1 b c\n", None),
        ("FROM x\nRUN echo $((1<<2)) && cat <<< word\n", None),
        ("FROM x\nRUN echo '<<' EOF\n", None),
        ("FROM x\n# syntax=y\n", None),
        ("# a comment\n# syntax=y\nFROM x\n", None),
        ("FROM x\nLABEL a=<<EOF\n", None),
        ("FROM x\r\nRUN \\\r\n --mount=type=ssh make\r\n", "RUN --mount, line 2"),
        # Only a newline ends a line.
        ("FROM x\u2028RUN --mount=type=ssh make\n", None),
        ("", None),
    ],
)
def test_the_first_thing_that_needs_it_is_told(text: str, reason: str | None) -> None:
    assert buildkit_only(text) == reason


def test_nothing_of_the_file_is_quoted() -> None:
    assert buildkit_only("#syntax=\x1b[31msecret\nFROM x\n") == "# syntax=, line 1"


@pytest.mark.parametrize(
    "text",
    [
        lambda size: "RUN a \\\n" * size,
        lambda size: "RUN \\\n" + "#\n" * size,
        lambda size: "RUN \\\n" + "\n" * size,
        lambda size: "a\n" * size,
        lambda size: "# escape=\\\n" * size,
        lambda size: f"# syntax{' ' * size}=",
        lambda size: f"RUN <<'{'a' * size}",
        lambda size: f"RUN {'1' * size} x",
        lambda size: f"RUN {'--x ' * size}",
        lambda size: f"ONBUILD RUN {'1<<1 ' * size}",
    ],
)
def test_ten_times_the_input_takes_at_most_fifteen_times_as_long(text: Callable[[int], str]) -> None:
    small, large = text(4000), text(40_000)
    assert_linear(lambda: buildkit_only(small), lambda: buildkit_only(large))
