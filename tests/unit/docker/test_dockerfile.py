"""Whether a Dockerfile needs BuildKit."""

from __future__ import annotations

import pytest

from hanoverd.docker.dockerfile import buildkit_only


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
        ("# syntax=docker/dockerfile:1\nFROM x\n", "# syntax=docker/dockerfile:1, line 1"),
        ("# escape=`\n# syntax = x/y\nFROM x\n", "# syntax=x/y, line 2"),
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
        ("", None),
    ],
)
def test_the_first_thing_that_needs_it_is_told(text: str, reason: str | None) -> None:
    assert buildkit_only(text) == reason
