"""Which restart policies there are, and what each allows."""

from __future__ import annotations

import pytest

from hanoverd.spec.restart import RestartPolicy, parse_restart


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", RestartPolicy("no")),
        ("always", RestartPolicy("always")),
        ("unless-stopped", RestartPolicy("unless-stopped")),
        ("on-failure", RestartPolicy("on-failure")),
        ("on-failure:3", RestartPolicy("on-failure", 3)),
        ("on-failure:0", RestartPolicy("on-failure")),
    ],
)
def test_policies_are_dockers(text: str, policy: RestartPolicy) -> None:
    assert parse_restart(text) == policy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unknown policy ''"),
        ("sometimes", "unknown policy 'sometimes'"),
        ("always:3", "can only be used with 'on-failure'"),
        ("on-failure:x", "must be an integer"),
        ("on-failure:-1", "must be an integer"),
    ],
)
def test_others_are_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_restart(text)


def test_what_each_allows() -> None:
    assert not parse_restart("no").allows(1, 0)
    assert parse_restart("always").allows(0, 1000)
    assert parse_restart("unless-stopped").allows(0, 0)
    assert not parse_restart("on-failure").allows(0, 0)
    assert parse_restart("on-failure").allows(None, 5)
    assert [parse_restart("on-failure:2").allows(1, restarts) for restarts in range(3)] == [True, True, False]
