"""Which requests are refused: other names of the host, other web sites, proxies without a login."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.runtime.refusal import Refused
from hanoverd.web.guard import HEADERS, Guard, Head, host_name

GUARD = Guard(("apps.example.com",), needs_login=True)

OPEN = Guard((), needs_login=False)


def head(method: str = "GET", address: str = "127.0.0.1", **headers: str) -> Head:
    found = {"host": "localhost:8900", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Head(method, address, lambda name: found.get(name, ""))


def refusal(guard: Guard, asked: Head) -> int | None:
    """The status with which a request is refused; None if it is not."""
    try:
        guard.check(asked)
    except Refused as refused:
        return refused.status
    return None


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8900", "LOCALHOST:1", "127.0.0.1:8900", "[::1]:8900", "localhost.", "192.0.2.7:80"]
)
def test_the_names_of_the_page_itself(host: str) -> None:
    assert refusal(OPEN, head(host=host, address="192.0.2.7")) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8900",
        "apps.example.com",
        "192.0.2.8",
        "localhost.evil.example",
        "[::2]",
        "[",
        "127.1",
    ],
)
def test_another_name_is_refused_as_dns_rebinding_would_have_it(host: str) -> None:
    assert refusal(OPEN, head(host=host)) == 421


def test_further_names_are_allowed() -> None:
    assert refusal(GUARD, head(host="apps.example.com")) is None
    assert refusal(GUARD, head(host="Apps.Example.com.:443")) is None
    assert refusal(GUARD, head(host="x.apps.example.com")) == 421


def test_an_ipv4_client_of_an_ipv6_socket_uses_the_ipv4_address() -> None:
    assert refusal(OPEN, head(host="192.0.2.7:8900", address="::ffff:192.0.2.7")) is None
    assert refusal(OPEN, head(host="[2001:db8:0::1]:8900", address="2001:db8::1")) is None


def test_the_message_says_how_to_allow_the_name() -> None:
    with pytest.raises(Refused, match=r"--allow-host apps\.example\.com"):
        OPEN.check(head(host="apps.example.com"))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_the_page_itself_may_send_everything(method: str, site: str) -> None:
    assert refusal(OPEN, head(method, sec_fetch_site=site)) is None


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_another_site_may_only_link_to_the_page(site: str) -> None:
    link = {"sec_fetch_site": site, "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert refusal(OPEN, head("GET", **link)) is None
    assert refusal(OPEN, head("POST", **link)) == 403
    assert refusal(OPEN, head("GET", **{**link, "sec_fetch_dest": "iframe"})) == 403
    assert refusal(OPEN, head("GET", sec_fetch_site=site, sec_fetch_mode="cors")) == 403
    assert refusal(OPEN, head("GET", sec_fetch_site=site, sec_fetch_mode="no-cors")) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:8901", "http://["])
def test_an_older_browser_says_where_a_form_comes_from(origin: str) -> None:
    assert refusal(OPEN, head("POST", origin=origin)) == 403
    assert refusal(OPEN, head("POST", origin="http://localhost:8900")) is None
    # Through a proxy that adds TLS.
    assert refusal(GUARD, head("POST", host="apps.example.com", origin="https://apps.example.com")) is None
    assert refusal(OPEN, head("GET", origin=origin)) is None
    # A newer browser says it better: a proxy may have replaced the name of the host.
    assert refusal(OPEN, head("POST", origin=origin, sec_fetch_site="same-origin")) is None


@pytest.mark.parametrize("name", ["forwarded", "x_forwarded_for", "x_forwarded_host", "x_real_ip"])
def test_a_proxy_is_refused_where_no_login_is_required(name: str) -> None:
    with pytest.raises(Refused, match="--allow-host NAME` or `--login"):
        OPEN.check(head(**{name: "192.0.2.1"}))
    assert refusal(GUARD, head(**{name: "192.0.2.1"})) is None


def test_nothing_is_loaded_run_or_framed_but_the_page_itself() -> None:
    policy = dict(part.split(" ", 1) for part in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "form-action"):
        assert policy[name] == "'self'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a.example:1", "a.example"),
        ("a.example", "a.example"),
        ("[::1]:1", "::1"),
        ("user@a.example", "a.example"),
        ("a b", "a b"),
    ],
)
def test_the_name_in_a_header(host: str, name: str) -> None:
    assert host_name(host) == name


HEADERS_OF_BROWSERS = ("host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "x-forwarded-for")


@given(
    st.sampled_from(["GET", "POST", "HEAD", "x"]),
    st.dictionaries(
        st.sampled_from(HEADERS_OF_BROWSERS), st.text() | st.sampled_from(["localhost", "cross-site", "[::1"])
    ),
)
def test_any_headers_are_answered_and_no_other_name_is_admitted(method: str, headers: dict[str, str]) -> None:
    status = refusal(OPEN, Head(method, "127.0.0.1", lambda name: headers.get(name, "")))
    if status is None:
        assert host_name(headers["host"]) in ("localhost", "127.0.0.1", "::1")
        assert headers.get("sec-fetch-site", "") in ("", "same-origin", "none") or method in ("GET", "HEAD")
