"""Where a version comes from, recorded as labels."""

from __future__ import annotations

import pytest

from hanoverd.spec.lineage import MOST_PREDECESSORS, Lineage


@pytest.mark.parametrize(
    "lineage",
    [
        Lineage(3, predecessors=()),
        Lineage(1, is_rollback=True, predecessors=(0,), source="build /srv/web"),
        Lineage(3, predecessors=(2, 1, 0)),
        Lineage(3),
    ],
)
def test_it_is_read_as_it_was_recorded(lineage: Lineage) -> None:
    assert Lineage.of_labels(lineage.labels(), 3) == lineage


def test_a_container_of_an_older_hanoverd_is_its_own_origin_with_unknown_predecessors() -> None:
    assert Lineage.of_labels({"hanoverd.generation": "7"}, 7) == Lineage(7)


def test_labels_that_others_wrote_do_no_harm() -> None:
    for no_number in ("x", "\N{SUPERSCRIPT TWO}", "9" * 5000):
        labels = {"hanoverd.origin": no_number, "hanoverd.rollback": "?", "hanoverd.predecessors": f"3 {no_number} -1"}
        assert Lineage.of_labels(labels, 7) == Lineage(7, predecessors=(3,))


def test_the_label_does_not_grow_without_end() -> None:
    labels = Lineage(999, predecessors=tuple(range(999))).labels()
    assert len(Lineage.of_labels(labels, 999).predecessors or ()) == MOST_PREDECESSORS
