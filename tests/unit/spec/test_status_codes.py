"""Sets of HTTP status codes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hanoverd.spec.status_codes import OK, StatusCodes
from tests.unit.strategies import text_like

_code = st.integers(100, 599)
_range = st.tuples(_code, _code).map(sorted).map(lambda ends: range(ends[0], ends[1] + 1))
_some = st.lists(_range, min_size=1, max_size=5).map(lambda ranges: StatusCodes(tuple(ranges)))


@given(_some, st.integers(0, 700))
def test_a_list_of_ranges_contains_what_one_of_them_contains(codes: StatusCodes, code: int) -> None:
    assert (code in codes) == any(one[0] <= code <= one[-1] for one in codes.ranges)


@given(_some)
def test_what_is_written_is_read(codes: StatusCodes) -> None:
    assert StatusCodes.parse(str(codes)) == codes


@given(text_like("0123459,- ", 12))
@example("200-299,301")
@example("٢٠٠")
@example("200\n")
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        codes = StatusCodes.parse(text)
    except ValueError:
        return
    assert all(100 <= one[0] <= one[-1] <= 599 for one in codes.ranges)
    assert StatusCodes.parse(str(codes)) == codes


@pytest.mark.parametrize(
    "text", ["", ",", "200,", "200 ,204", "99", "600", "20", "2000", "200-", "-299", "2xx", "200-2"]
)
def test_what_is_no_list_of_codes_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an HTTP status or a range of them: write 200-299,301"):
        StatusCodes.parse(text)


def test_a_range_whose_ends_are_exchanged_is_refused() -> None:
    with pytest.raises(ValueError, match='"299-200" is empty: write 200-299'):
        StatusCodes.parse("204,299-200")


def test_200_is_the_default() -> None:
    assert [code for code in range(700) if code in OK] == [200]
