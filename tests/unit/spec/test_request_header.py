"""Headers of HTTP requests."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from twisted.web.http_headers import Headers

from hanoverd.spec.request_header import join_headers, parse_header, server_name_in
from tests.unit.strategies import text_like


@given(text_like("Host: a.b-1\t\r\n", 20))
@example("X: a\r\nY: b")
@example("X: a\n")
@example("X\n: a")
@example("X: \x7f")
@example("X: é")
def test_any_text_is_one_header_or_is_refused(text: str) -> None:
    try:
        name, value = parse_header(text)
    except ValueError:
        return
    assert (name + value).isascii()
    assert not set("\r\n\0") & set(name + value)
    assert value == value.strip()
    # Twisted, which sends it, replaces what could end a header.
    assert Headers({name: [value]}).getRawHeaders(name) == [value]


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Host: shop.example", ("Host", "shop.example")),
        ("X-Key:a:b", ("X-Key", "a:b")),
        ("Authorization:  Basic YTpi \t", ("Authorization", "Basic YTpi")),
        ("X-Empty:", ("X-Empty", "")),
    ],
)
def test_space_around_the_value_is_not_a_part_of_it(text: str, header: tuple[str, str]) -> None:
    assert parse_header(text) == header


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hunter2", "it must be NAME: VALUE"),
        (": hunter2", "it must be NAME: VALUE"),
        ("X Y: hunter2", "it must be NAME: VALUE"),
        ("X : hunter2", "it must be NAME: VALUE"),
        ("X: hunter2\r\nY: 1", "the value of X has a character that a header cannot have"),
        ("Content-Length: 2", "Content-Length cannot be set: it says how the request is sent"),
        ("transfer-encoding: chunked", "transfer-encoding cannot be set"),
        ("Host:", "the value of Host must be a host"),
        ("Host: a b", "the value of Host must be a host"),
    ],
)
def test_what_is_no_header_is_refused_without_its_value(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_header(text)
    assert "hunter2" not in str(caught.value)


def test_a_request_has_one_host() -> None:
    assert join_headers([("X", "1"), ("x", "2"), ("Host", "a")]) == (("X", "1"), ("x", "2"), ("Host", "a"))
    with pytest.raises(ValueError, match="Host is given twice"):
        join_headers([("Host", "a"), ("host", "b")])


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ([], None),
        ([("X", "a")], None),
        ([("host", "shop.example")], "shop.example"),
        ([("Host", "shop.example:8443")], "shop.example"),
        ([("Host", "10.0.0.1:8443")], None),
        ([("Host", "[2001:db8::a]:8443")], None),
    ],
)
def test_a_server_name_is_a_name_and_no_address(headers: list[tuple[str, str]], name: str | None) -> None:
    assert server_name_in(headers) == name
