"""The variables of the container's environment."""

from __future__ import annotations

import pytest

from hanoverd.spec.environment import last_of_each_name, parse_variable

ENVIRON = {"COLOUR": "blue", "EMPTY": "", "BROKEN": "\udcff"}


@pytest.mark.parametrize(
    ("texts", "entries"),
    [
        (["SIZE=9"], ("SIZE=9",)),
        (["SIZE="], ("SIZE=",)),
        (["EXPR=a=b"], ("EXPR=a=b",)),
        (["SAID=$COLOUR"], ("SAID=$COLOUR",)),
        (['SAID= "hi" '], ('SAID= "hi" ',)),
        (["COLOUR"], ("COLOUR=blue",)),
        (["EMPTY"], ("EMPTY=",)),
        (["ABSENT"], ("ABSENT",)),
        (["SIZE=9", "COLOUR", "SIZE=10"], ("SIZE=10", "COLOUR=blue")),
        (["ABSENT=1", "ABSENT"], ("ABSENT",)),
    ],
)
def test_variables_are_set_passed_on_or_dropped(texts: list[str], entries: tuple[str, ...]) -> None:
    assert last_of_each_name(parse_variable(text, ENVIRON) for text in texts) == entries


@pytest.mark.parametrize("text", ["", "=9"])
def test_a_variable_needs_a_name(text: str) -> None:
    with pytest.raises(ValueError, match=f"invalid environment variable: {text}"):
        parse_variable(text, ENVIRON)


def test_a_value_that_no_json_can_hold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"BROKEN .*not UTF-8"):
        parse_variable("BROKEN", ENVIRON)
