"""What a rollback returns to, and what is kept for it: the app of these tests has versions of images A, B, C and so on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.deploy.rollback import Candidate, deployed, rollback_target, rolled_back, worth_keeping
from hanoverd.spec.container import ContainerSpec, Image, Recipe
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.lineage import MOST_PREDECESSORS, Lineage


class App:
    """An app whose versions go live one after another, each named by its image."""

    def __init__(self, most: int = 5) -> None:
        self.most = most
        self.live: Candidate | None = None
        self.kept: list[Candidate] = []
        self.count = 0

    def deploy(self, images: str) -> None:
        for image in images:
            self.go_live(deployed(made_of(image), "build /srv/app", self.live, self.kept))

    def restart(self) -> None:
        assert self.live is not None
        # The one that died is removed.
        dead, self.live = self.live, None
        self.go_live(dead.recipe)

    def roll_back(self, number: int | None = None) -> str | None:
        """Roll back; returns the image that is live then, None if there was nothing to roll back to."""
        target = rollback_target(self.live, number, self.kept)
        if target is None:
            return None
        self.go_live(rolled_back(target))
        return self.image

    def go_live(self, recipe: Recipe) -> None:
        number, self.count = self.count, self.count + 1
        if recipe.lineage.origin is None:
            recipe = replace(recipe, lineage=replace(recipe.lineage, origin=number))
        # As the engine's labels remember it.
        recipe = replace(recipe, lineage=Lineage.of_labels(recipe.lineage.labels(), number))
        if self.live is not None:
            self.kept.append(self.live)
        self.live = Candidate(number, recipe)
        self.kept = worth_keeping(self.live, self.kept, self.most)

    @property
    def image(self) -> str:
        assert self.live is not None
        return self.live.recipe.image.name.reference.partition(":")[0].upper()

    @property
    def numbers(self) -> list[int]:
        return [one.number for one in self.kept]


def made_of(image: str, **settings: object) -> Recipe:
    name = ImageName.parse(image.lower())
    return Recipe(Image(f"sha256:{image}", name, ()), ContainerSpec(settings=settings))


def app(images: str, most: int = 5) -> App:
    one = App(most)
    one.deploy(images)
    return one


def test_each_rollback_goes_further_back() -> None:
    it = app("ABC")
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["B", "A", None]
    assert it.image == "A"


def test_a_rollback_says_which_version_it_repeats() -> None:
    it = app("ABC")
    it.roll_back()
    assert it.live is not None
    lineage = it.live.recipe.lineage
    assert (it.live.number, lineage.origin, lineage.is_rollback, lineage.source) == (3, 1, True, "build /srv/app")


def test_what_was_rolled_back_from_is_kept_and_can_be_named() -> None:
    it = app("ABC")
    it.roll_back()
    it.roll_back()
    assert it.roll_back(2) == "C"
    # From there it goes back as it did the first time.
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["B", "A", None]


def test_after_a_rollback_and_a_deploy_a_rollback_undoes_the_deploy() -> None:
    it = app("ABC")
    it.roll_back()
    it.deploy("D")
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["B", "A", None]


def test_a_deploy_that_changed_nothing_is_skipped() -> None:
    it = app("ABBB")
    assert it.numbers == [0]
    assert it.roll_back() == "A"


def test_other_settings_make_another_version() -> None:
    it = app("A")
    it.go_live(deployed(made_of("A", StopSignal="SIGINT"), "", it.live, it.kept))
    assert it.roll_back() == "A"
    assert it.live is not None
    assert it.live.recipe.options.settings == {}


def test_an_image_that_is_deployed_again_is_a_step_of_its_own() -> None:
    it = app("ABA")
    assert it.numbers == [1, 0]
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["B", "A", None]


def test_a_restart_changes_nothing_for_rollbacks() -> None:
    it = app("ABC")
    it.restart()
    it.roll_back()
    it.restart()
    assert it.image == "B"
    assert it.live is not None
    assert (it.live.recipe.lineage.origin, it.live.recipe.lineage.is_rollback) == (1, True)
    assert [it.roll_back(), it.roll_back()] == ["A", None]


def test_a_version_keeps_its_number() -> None:
    it = app("ABC")
    assert it.numbers == [1, 0]
    it.roll_back()
    # B's new version stands for it.
    assert it.numbers == [0, 2]
    it.deploy("D")
    assert it.numbers == [3, 0, 2]


def test_a_version_that_is_repeated_by_a_kept_one_is_found_by_its_number() -> None:
    it = app("AB")
    it.roll_back()
    it.deploy("C")
    # Version 2 repeats version 0.
    assert it.numbers == [2, 1]
    assert it.roll_back(0) == "A"


@pytest.mark.parametrize("number", [3, 4, 99, -1])
def test_a_version_that_is_not_kept_is_not_rolled_back_to(number: int) -> None:
    it = app("ABCD")
    assert it.roll_back(number) is None


def test_an_earlier_version_is_kept_while_the_one_in_between_still_stops() -> None:
    it = app("AB")
    assert it.live is not None
    stopping = it.live
    it.go_live(deployed(made_of("A"), "", it.live, it.kept))
    kept = worth_keeping(it.live, [one for one in it.kept if one != stopping], 5)
    assert [one.number for one in kept] == [0]


def test_no_more_are_kept_than_asked_for() -> None:
    it = app("ABCD", most=2)
    assert it.numbers == [2, 1]
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["C", "B", None]
    assert app("ABCD", most=0).numbers == []


def test_with_one_kept_version_a_second_rollback_finds_none_rather_than_the_way_back() -> None:
    it = app("ABC", most=1)
    assert [it.roll_back(), it.roll_back()] == ["B", None]
    assert it.roll_back(2) == "C"


def test_where_no_version_is_live_those_that_are_kept_were_live_before() -> None:
    it = app("AB")
    it.live = None
    it.deploy("C")
    assert it.roll_back() == "A"


def test_where_no_version_is_live_a_rollback_returns_to_the_newest() -> None:
    it = app("ABC")
    it.live = None
    assert it.roll_back() == "B"


def test_versions_of_an_older_hanoverd_are_ordered_by_their_numbers() -> None:
    old = [Candidate(number, made_of(image)) for number, image in enumerate("ABC")]
    it = App()
    it.live, it.kept, it.count = old[2], [old[0], old[1]], 3
    it.deploy("D")
    assert [it.roll_back(), it.roll_back(), it.roll_back(), it.roll_back()] == ["C", "B", "A", None]


def test_a_version_of_an_older_hanoverd_that_is_live_is_rolled_back_from() -> None:
    old = [Candidate(number, made_of(image)) for number, image in enumerate("ABC")]
    it = App()
    it.live, it.kept, it.count = old[2], [old[0], old[1]], 3
    assert [it.roll_back(), it.roll_back(), it.roll_back()] == ["B", "A", None]


@given(st.text("ABCD", min_size=1, max_size=MOST_PREDECESSORS // 5))
def test_rollbacks_undo_all_deploys_in_their_order(images: str) -> None:
    it = app(images, most=99)
    steps = [image for image, before in zip(images, " " + images, strict=False) if image != before]
    undone = []
    while (image := it.roll_back()) is not None:
        undone.append(image)
    assert undone == steps[-2::-1]
