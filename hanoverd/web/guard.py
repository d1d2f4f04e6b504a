"""Which requests a browser may make, and what it may do with the answers.  Pure.

Browsers send requests in the name of a user also because another web site says so.  Four things keep such a site out:

* The name in the header Host must be one of the page's own.  A site whose own name leads to this host ("DNS rebinding") has another.
* Requests from pages of other sites are refused, by ``Sec-Fetch-Site`` (Fetch Metadata, W3C), in older browsers by ``Origin``.
* A form has a token that other sites cannot read.
* The page cannot be shown in a frame, and loads and runs nothing but its own files.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from hanoverd.runtime.refusal import Refused

#: The headers of all answers.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer", browsers send "Origin: null" with forms (Fetch Standard, section 3.2).
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

#: What the browser says of requests by the page itself, and by the user; older ones say nothing.
_OWN_SITES = ("same-origin", "none", "")

#: What proxies add.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")

_MISDIRECTED, _FORBIDDEN = 421, 403


@dataclass(frozen=True)
class Head:
    """What the guard needs of a request: ``header`` returns the value of a header, "" without one.

    ``address`` is the address of this host at which the request has arrived.
    """

    method: str
    address: str
    header: Callable[[str], str]


@dataclass(frozen=True)
class Guard:
    """``names`` are further host names; ``needs_login`` is whether users have to log in."""

    names: Collection[str]
    needs_login: bool

    def check(self, head: Head) -> None:
        """Raise ``Refused`` for a request that is not for this page, or comes from another site."""
        self._check_host(head)
        self._check_proxy(head)
        _check_site(head)

    def _check_host(self, head: Head) -> None:
        name = host_name(head.header("host"))
        if name in (*_LOOPBACK_NAMES, plain_address(head.address), *self.names):
            return
        raise Refused(
            _MISDIRECTED,
            f"This page does not answer as {name or 'a host without a name'}. Start it with `hanoverd web --allow-host "
            f"{name or 'NAME'}` if that is its name.",
        )

    def _check_proxy(self, head: Head) -> None:
        if self.needs_login or not any(map(head.header, _FORWARDED)):
            return
        raise Refused(
            _FORBIDDEN,
            "A proxy has passed this request on, and the page requires no login. Start it with `hanoverd web --allow-host "
            "NAME` or `--login` where others than users of this host can reach it.",
        )


def is_link(head: Head) -> bool:
    """Return whether a page of another web site has led here.  The browser sends no strict cookie then, although it has one."""
    return head.header("sec-fetch-site") not in _OWN_SITES


def _check_site(head: Head) -> None:
    is_safe = head.method in ("GET", "HEAD")
    if is_link(head):
        # A link on another site may lead here.
        if is_safe and head.header("sec-fetch-mode") == "navigate" and head.header("sec-fetch-dest") == "document":
            return
        raise Refused(_FORBIDDEN, "Another web site has sent this request. Use the page itself.")
    if is_safe or head.header("sec-fetch-site"):
        return
    origin = head.header("origin")
    if origin and not _is_own(origin, head.header("host")):
        raise Refused(_FORBIDDEN, "Another web site has sent this form. Use the page itself.")


def _is_own(origin: str, host: str) -> bool:
    # Not the scheme: a reverse proxy may add TLS.
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def host_name(host: str) -> str:
    """Return the name in a header Host, without its port, in lower case; "" if it has none."""
    try:
        return plain_address((urlsplit(f"//{host}").hostname or "").rstrip("."))
    except ValueError:
        return ""


def plain_address(text: str) -> str:
    """Return an IP address in its usual form, and another text as it is."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
