"""Who is logged in: sessions by the random values of cookies, limited in number and time.  Pure, apart from chance."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

#: How many sessions there are at most: the one that was used least recently ends for a new one.
MOST_SESSIONS = 100

#: After how many seconds a session ends that is not used, and after how many one ends in any case.
IDLE_TIMEOUT, LONGEST = 12 * 3600.0, 7 * 24 * 3600.0

_COOKIE_BYTES, _LONGEST_COOKIE = 32, 100


@dataclass
class _Session:
    since: float
    used: float


class Sessions:
    """The sessions of logged-in users, and the CSRF tokens of all users."""

    def __init__(self) -> None:
        # Of this process alone: after a restart, users log in again, and forms are loaded again.
        self._key = secrets.token_bytes(32)
        # By the hash of the cookie; the one that was used last comes last.
        self._sessions: dict[bytes, _Session] = {}

    def __len__(self) -> int:
        """Return how many there are, including those whose time is over."""
        return len(self._sessions)

    @staticmethod
    def new_cookie() -> str:
        """Return the value of a cookie for a user who has none."""
        return secrets.token_urlsafe(_COOKIE_BYTES)

    def begin(self, now: float) -> str:
        """Begin a session at a time in seconds, and return the value of its cookie."""
        cookie = self.new_cookie()
        self._sessions[self._hash(cookie)] = _Session(now, now)
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return cookie

    def use(self, cookie: str, now: float) -> bool:
        """Return whether a cookie belongs to a session; its time starts again."""
        key = self._hash(cookie)
        session = self._sessions.pop(key, None)
        if session is None or now - session.used > IDLE_TIMEOUT or now - session.since > LONGEST:
            return False
        session.used = now
        self._sessions[key] = session
        return True

    def end(self, cookie: str) -> None:
        """End the session of a cookie, if there is one."""
        self._sessions.pop(self._hash(cookie), None)

    def end_all(self) -> None:
        """End all sessions."""
        self._sessions.clear()

    def csrf(self, cookie: str) -> str:
        """Return the token that the forms of this cookie's pages send back."""
        return hmac.new(self._key, b"csrf:" + _bytes(cookie), hashlib.sha256).hexdigest()

    def is_csrf(self, cookie: str, token: str) -> bool:
        """Return whether a form was made for this cookie."""
        return bool(cookie) and hmac.compare_digest(self.csrf(cookie).encode(), _bytes(token))

    def _hash(self, cookie: str) -> bytes:
        return hmac.new(self._key, b"session:" + _bytes(cookie), hashlib.sha256).digest()


def _bytes(text: str) -> bytes:
    return text[:_LONGEST_COOKIE].encode("utf-8", "replace")
