"""Which restart policies there are, and what each allows."""

from __future__ import annotations

import pytest

from hanoverd.spec.restart import RestartPolicy, check_restart, parse_restart


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("no", RestartPolicy("no")),
        ("always", RestartPolicy("always")),
        ("unless-stopped", RestartPolicy("unless-stopped")),
        ("on-failure", RestartPolicy("on-failure")),
        ("on-failure:3", RestartPolicy("on-failure", 3)),
        ("on-failure:0", RestartPolicy("on-failure")),
        ("on-failure:", RestartPolicy("on-failure")),
        ("on-failure:03", RestartPolicy("on-failure", 3)),
        ("", RestartPolicy("no")),
    ],
)
def test_policies_are_dockers(text: str, policy: RestartPolicy) -> None:
    assert parse_restart(text) == policy


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (":3", "no policy provided before colon"),
        ("on-failure:x", "must be an integer"),
        ("on-failure: 3", "must be an integer"),
        ("on-failure:0x3", "must be an integer"),
    ],
)
def test_what_is_no_policy_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_restart(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sometimes", "unknown policy 'sometimes'"),
        ("always:3", "can only be used with 'on-failure'"),
        ("on-failure:-1", "cannot be negative"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_at_the_start(text: str, reason: str) -> None:
    policy = parse_restart(text)
    with pytest.raises(ValueError, match=reason):
        check_restart(policy)


def test_what_each_allows() -> None:
    assert not parse_restart("no").allows(1, 0)
    assert parse_restart("always").allows(0, 1000)
    assert parse_restart("unless-stopped").allows(0, 0)
    assert not parse_restart("on-failure").allows(0, 0)
    assert parse_restart("on-failure").allows(None, 5)
    assert [parse_restart("on-failure:2").allows(1, restarts) for restarts in range(3)] == [True, True, False]
