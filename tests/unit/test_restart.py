"""Whether and when a version that has exited is started again."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock

from hanoverd.model.container import ContainerOptions, Image, Recipe
from hanoverd.model.images import ImageName
from hanoverd.model.restart import RestartPolicy, parse_restart
from hanoverd.revival import Revival

RECIPE = Recipe(Image("sha256:1", ImageName("app"), (80,)), ContainerOptions())


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


def test_the_delays_grow_until_a_version_has_proved_itself() -> None:
    clock = Clock()
    due: list[str] = []
    revival = Revival(clock, parse_restart("always"), lambda: due.append("due"))
    delays = []
    for _ in range(12):
        revival.is_live()
        clock.advance(60)
        delays.append(revival.begin(RECIPE, 1))
    assert delays == [0.1] * 12
    revival.is_live()
    clock.advance(60)
    delays = []
    for _ in range(12):
        delays.append(revival.begin(RECIPE, 1))
        revival.is_live()
        clock.advance(5)
    # The first one after a version that had proved itself begins anew.
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])


def test_a_version_that_goes_live_makes_it_needless() -> None:
    clock = Clock()
    due: list[str] = []
    revival = Revival(clock, parse_restart("always"), lambda: due.append("due"))
    revival.begin(RECIPE, 1)
    revival.is_live()
    clock.advance(10)
    assert due == []
    revival.begin(RECIPE, 1)
    clock.advance(10)
    assert due == ["due"]
    assert revival.due() is RECIPE
    revival.is_live()
    assert revival.due() is None
