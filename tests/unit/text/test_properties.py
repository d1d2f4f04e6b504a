"""What holds for every text: parsers raise nothing but ValueError, and agree with independent models."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from signal import Signals

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hanoverd.text.booleans import parse_boolean
from hanoverd.text.comma_fields import comma_fields
from hanoverd.text.durations import format_duration, parse_duration, parse_whole_seconds
from hanoverd.text.lines import LONGEST_LINE, LineCutter
from hanoverd.text.quoting import quoted
from hanoverd.text.signals import parse_signal
from hanoverd.text.sizes import format_size, parse_size
from tests.unit.strategies import any_text, text_like

PARSERS: list[tuple[Callable[[str], object], str]] = [
    (parse_boolean, "tTrueFALSf01"),
    (comma_fields, 'ab,"\r\n'),
    (parse_duration, "0123456789.+-hmsuµnx"),
    (parse_whole_seconds, "0123456789.+-xobhms"),
    (parse_signal, "SIGTERMINAX+-0123456789 "),
    (parse_size, "0123456789._+eEkKmbi "),
]

UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}

#: A number of a duration, as text: with a whole part, a fraction or both.
_whole = st.integers(0, 10**6).map(str)
_digits = st.text("0123456789", min_size=1, max_size=12)
numbers = _whole | _whole.map("{}.".format) | _digits.map(".{}".format) | st.tuples(_whole, _digits).map(".".join)


@pytest.mark.parametrize(("parse", "alphabet"), PARSERS, ids=lambda value: getattr(value, "__name__", ""))
@given(data=st.data())
def test_a_parser_raises_nothing_but_value_error(
    parse: Callable[[str], object], alphabet: str, data: st.DataObject
) -> None:
    text = data.draw(text_like(alphabet))
    with suppress(ValueError):
        parse(text)


@given(
    st.lists(st.tuples(numbers, st.sampled_from(list(UNITS))), min_size=1, max_size=4), st.sampled_from(["", "+", "-"])
)
def test_a_duration_is_the_sum_of_its_terms(terms: list[tuple[str, str]], sign: str) -> None:
    nanoseconds = sum(int(Fraction(f"0{number}") * UNITS[unit]) for number, unit in terms)
    text = sign + "".join(number + unit for number, unit in terms)
    if nanoseconds < 2**63:
        assert parse_duration(text) == (-nanoseconds if sign == "-" else nanoseconds) / 10**9


@given(st.floats(0.001, 10**7))
def test_a_formatted_duration_is_read_back_within_five_percent(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=0.05)


@given(st.floats(0, 10**7))
def test_the_opposite_of_a_duration_has_a_minus_sign(seconds: float) -> None:
    assert format_duration(-seconds).removeprefix("-") == format_duration(seconds)


@given(st.integers(-1, 2**31 - 1))
def test_whole_seconds_are_the_same_with_and_without_their_unit(seconds: int) -> None:
    assert parse_whole_seconds(str(seconds)) == parse_whole_seconds(f"{seconds}s") == seconds


@given(st.integers(0, 2**53), st.sampled_from(["", "b", "k", "K", "kb", "KiB", "m", "Mb", "g", "GiB", "t", "p"]))
def test_a_size_is_a_number_times_a_power_of_1024(number: int, unit: str) -> None:
    expected = number * 1024 ** " kmgtp".index(unit.lower().removesuffix("b").removesuffix("i") or " ")
    if expected < 2**63:
        assert parse_size(f"{number}{unit}") == parse_size(f"{number} {unit}".strip()) == expected
    else:
        with pytest.raises(ValueError, match="invalid size"):
            parse_size(f"{number}{unit}")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (10 * 1024**3, "10GiB"), (2**63, "8192PiB")],
)
def test_a_size_for_people_has_one_decimal_at_most(size: int, text: str) -> None:
    assert format_size(size) == text
    if size < 2**63:
        assert parse_size(text) == size


@given(any_text)
def test_a_quoted_text_is_printable_and_keeps_its_content(text: str) -> None:
    # The escapes of Go that appear here mean the same in Python.
    assert quoted(text).isprintable()
    assert ast.literal_eval(quoted(text)) == text


@given(st.lists(st.text(st.characters(exclude_characters="\r\0")), min_size=1))
@example([""])
@example(["", ""])
def test_comma_fields_read_what_a_csv_writer_writes(fields: list[str]) -> None:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(fields)
    assert comma_fields(written.getvalue().removesuffix("\n")) == fields


@given(st.lists(st.binary(max_size=6) | st.just(b"\n")))
def test_lines_do_not_depend_on_how_the_output_is_cut(pieces: list[bytes]) -> None:
    cutter = LineCutter()
    lines = [line for piece in pieces for line in cutter.take(piece)] + cutter.rest()
    *complete, last = b"".join(pieces).split(b"\n")
    assert lines == [*complete, *([last] if last else [])]


@given(st.lists(st.tuples(st.sampled_from(["a", "é", "€", "😀", "\n"]), st.integers(1, LONGEST_LINE)), max_size=5))
def test_a_long_line_is_cut_between_characters_and_nothing_is_lost(runs: list[tuple[str, int]]) -> None:
    whole = "".join(char * count for char, count in runs if char != "\n").encode()
    cutter = LineCutter()
    parts = [line for char, count in runs if char != "\n" for line in cutter.take((char * count).encode())]
    parts += cutter.rest()
    assert b"".join(parts) == whole
    assert all(len(part) <= LONGEST_LINE for part in parts)
    assert all(part.decode() for part in parts)


@given(st.sampled_from(Signals))
def test_a_signal_has_one_name_in_every_spelling(signal: Signals) -> None:
    name = parse_signal(str(signal.value))
    short = name.removeprefix("SIG")
    assert parse_signal(name) == parse_signal(short) == parse_signal(short.lower()) == name
