"""What the hookbot server decides from the head of a request."""

from __future__ import annotations

import pytest

from hanoverd.hookbot.admission import Admission, Admitted, RequestHead, Verb, is_same_site
from hanoverd.hookbot.connections import network_of
from hanoverd.hookbot.limits import ServerLimits
from hanoverd.hookbot.protocol import UNSAFE_CONSENT, UNSAFE_HEADER
from hanoverd.hookbot.tokens import make_token
from hanoverd.runtime.refusal import Refused

LIMITS = ServerLimits()
MESSAGE, WEBHOOK = LIMITS.message, LIMITS.webhook
WEBSOCKET = {"Upgrade": "websocket", "Host": "hook.example"}
CONSENT = {UNSAFE_HEADER: UNSAFE_CONSENT}


def admit(method: str, uri: str, headers: dict[str, str] | None = None, *, has_router: bool = True) -> Admitted:
    """What a request asks for."""
    given = headers or {}
    head = RequestHead(method, uri.encode(), lambda name: given.get(name, ""))
    return Admission("key", LIMITS, has_router=has_router).check(head)


def bearer(path: str) -> dict[str, str]:
    """The header that allows what is at ``path``."""
    return {"Authorization": f"Bearer {make_token('key', path)}"}


@pytest.mark.parametrize(
    ("method", "uri", "headers", "wanted"),
    [
        ("GET", "/status", {}, Admitted(Verb.STATUS)),
        ("HEAD", "/status", {}, Admitted(Verb.STATUS)),
        ("POST", "/pub/a%20b", bearer("/pub/a b"), Admitted(Verb.PUBLISH, "a b", MESSAGE, is_trusted=True)),
        ("PUT", "/pub/a", bearer("/pub/"), Admitted(Verb.PUBLISH, "a", MESSAGE, is_trusted=True)),
        ("POST", "/unsafe/pub/a", {}, Admitted(Verb.PUBLISH, "/unsafe/a", MESSAGE)),
        ("POST", "/unsafe/pub/a?extra-metadata=github", {}, Admitted(Verb.WRAP, "/unsafe/a", MESSAGE)),
        (
            "POST",
            "/unsafe/pub/github.com/?x&extra-metadata=github",
            {},
            Admitted(Verb.ROUTE, "/unsafe/github.com/", WEBHOOK),
        ),
        ("GET", "/sub/a", {**WEBSOCKET, **bearer("/sub/a")}, Admitted(Verb.SUBSCRIBE, "a", is_trusted=True)),
        ("GET", "/unsafe/sub/a", {**WEBSOCKET, **CONSENT}, Admitted(Verb.SUBSCRIBE, "/unsafe/a")),
    ],
)
def test_what_a_request_asks_for(method: str, uri: str, headers: dict[str, str], wanted: Admitted) -> None:
    assert admit(method, uri, headers) == wanted


@pytest.mark.parametrize(
    ("method", "uri", "headers", "status"),
    [
        ("POST", "/status", {}, 405),
        ("GET", "/status/", {}, 404),
        ("GET", "/pub", {}, 404),
        ("POST", "/unsafe/x/a", {}, 404),
        # The token comes first.
        ("GET", "/pub/a", {}, 401),
        ("GET", "/pub/a", bearer("/pub/a"), 405),
        ("GET", "/sub/a", WEBSOCKET, 401),
        ("GET", "/sub/a", bearer("/sub/a"), 400),
        ("GET", "/unsafe/sub/a", WEBSOCKET, 400),
        ("GET", "/unsafe/sub/github.com/", {**WEBSOCKET, **CONSENT}, 403),
        ("POST", "/unsafe/pub/github.com/", {}, 400),
        ("POST", "/unsafe/pub/a?extra-metadata", {}, 400),
        ("GET", "/sub/a", {**WEBSOCKET, **bearer("/sub/a"), "Origin": "https://elsewhere.example"}, 403),
    ],
)
def test_what_is_refused(method: str, uri: str, headers: dict[str, str], status: int) -> None:
    with pytest.raises(Refused) as refused:
        admit(method, uri, headers)
    assert refused.value.status == status


def test_without_a_router_webhooks_are_like_other_unsafe_messages() -> None:
    assert admit("POST", "/unsafe/pub/github.com/", has_router=False).verb is Verb.PUBLISH
    assert admit("GET", "/unsafe/sub/github.com/", {**WEBSOCKET, **CONSENT}, has_router=False).verb is Verb.SUBSCRIBE


@pytest.mark.parametrize(
    ("origin", "host", "is_same"),
    [
        ("", "h", True),
        ("https://h", "h", True),
        ("https://H:443", "h", True),
        ("http://h:8080", "h:8080", True),
        ("https://[::1]", "[::1]", True),
        # The original hookbot's programs.
        ("//h", "h", True),
        ("//elsewhere", "h", True),
        ("null", "h", False),
        ("https://elsewhere", "h", False),
        ("https://h.elsewhere", "h", False),
        ("http://h:8081", "h:8080", False),
        ("http://h", "h:8080", False),
        ("https://h:x", "h", False),
        ("https://[", "h", False),
        ("https://h", "[", False),
        ("https://h", "", False),
        ("\ufffd", "\ufffd", False),
    ],
)
def test_pages_of_other_sites_may_not_listen(origin: str, host: str, is_same: bool) -> None:
    assert is_same_site(origin, host) == is_same


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_which_network_a_connection_counts_for(address: str, network: str | None) -> None:
    assert network_of(address) == network
