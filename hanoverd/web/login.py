"""Checks tokens: one at a time, and not too many from one address, so that guessing is slow and takes no memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable

from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from hanoverd.hookbot.connections import network_of
from hanoverd.hookbot.flood import RateLimit
from hanoverd.runtime.errors import WebError
from hanoverd.web.sessions import Sessions
from hanoverd.web.token import TokenFile, TokenHash

log = Logger()

#: How many wrong tokens an address may send within how many seconds; and how many checks may wait at once.
MOST_ATTEMPTS, ATTEMPT_PERIOD, MOST_WAITING = 10, 60.0, 20

#: How many addresses are remembered.
_MOST_ADDRESSES = 1000

#: How many wrong tokens are logged, and within how many seconds.
_MOST_REPORTS, _REPORT_PERIOD = 10, 60.0

InThread = Callable[[Callable[[], bool]], Deferred[bool]]


class TooManyAttempts(Exception):
    """The token was not checked; the text says why, and what to do."""


class Login:
    """The login of the page, with the token whose hash is in ``file``; ``in_thread`` calls a function in a thread.

    When the file is replaced, all sessions end.
    """

    def __init__(self, clock: IReactorTime, file: TokenFile, sessions: Sessions, in_thread: InThread) -> None:
        self._clock = clock
        self._file = file
        self._sessions = sessions
        self._in_thread = in_thread
        self._lock = DeferredLock()
        self._attempts: dict[str, RateLimit] = {}
        self._reports = RateLimit(_MOST_REPORTS, _REPORT_PERIOD)
        self._hash: TokenHash | None = None
        # The last right token, as this process alone can recognise it: programs send it with each request.
        self._key = secrets.token_bytes(32)
        self._accepted: bytes | None = None

    def is_logged_in(self, cookie: str) -> bool:
        """Return whether a cookie belongs to a session.  Looks at the file, which may have been replaced."""
        return self._current() is not None and self._sessions.use(cookie, self._clock.seconds())

    async def is_token(self, token: str, address: str) -> bool:
        """Return whether a token is right; ``address`` has sent it.

        Fails with ``TooManyAttempts``, and with ``WebError`` if the file cannot be read.
        """
        current = self._current()
        if current is None:
            raise WebError("there is no token: run `hanoverd web --new-token`")
        digest = hmac.new(self._key, token.encode("utf-8", "replace"), hashlib.sha256).digest()
        if self._accepted is not None and hmac.compare_digest(digest, self._accepted):
            return True
        self._count(address)
        is_right = await self._check(current, token)
        if is_right and current is self._hash:
            self._accepted = digest
            self._attempts.pop(_group(address), None)
        elif self._reports.allows(self._clock.seconds()):
            log.warn("page: wrong token from {peer}", event="page_login_refused", peer=address)
        return is_right

    def _current(self) -> TokenHash | None:
        """Return the hash; a new one ends all sessions.  Fails with ``WebError``."""
        try:
            found: TokenHash | None = self._file.read()
        except FileNotFoundError:
            found = None
        if found is not self._hash:
            self._hash = found
            self._accepted = None
            self._sessions.end_all()
        return found

    async def _check(self, current: TokenHash, token: str) -> bool:
        if len(self._lock.waiting) >= MOST_WAITING:
            raise TooManyAttempts("too many logins at once: try again in a moment")
        await self._lock.acquire()
        try:
            return await self._in_thread(lambda: current.fits(token))
        finally:
            self._lock.release()

    def _count(self, address: str) -> None:
        group = _group(address)
        limit = self._attempts.pop(group, None) or RateLimit(MOST_ATTEMPTS, ATTEMPT_PERIOD)
        # Remembered last; the first ones are forgotten.
        self._attempts[group] = limit
        while len(self._attempts) > _MOST_ADDRESSES:
            del self._attempts[next(iter(self._attempts))]
        if not limit.allows(self._clock.seconds()):
            raise TooManyAttempts(f"too many wrong tokens: try again in {ATTEMPT_PERIOD:.0f} seconds")


def _group(address: str) -> str:
    # All loopback addresses are one: a reverse proxy is there.
    return network_of(address) or "loopback"
