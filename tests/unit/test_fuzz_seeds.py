"""The inputs with which fuzzing starts, the shapes of known mistakes among them, and those that fuzzing has found."""

from __future__ import annotations

import pytest

from tests.fuzz.target import SEEDS
from tests.fuzz.targets import TARGETS, load


@pytest.mark.parametrize("name", TARGETS)
def test_each_input_is_read_or_refused_as_it_should_be(name: str) -> None:
    target = load(name)
    assert target.name == name
    assert target.seeds()
    for path in target.seeds():
        try:
            target.run(path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path}")
            raise


def test_each_folder_of_inputs_has_a_target() -> None:
    assert sorted(path.name for path in SEEDS.iterdir()) == sorted(TARGETS)
