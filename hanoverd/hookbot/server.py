"""The hookbot server: sends messages that are POSTed to ``/pub/TOPIC`` to the websockets at ``/sub/TOPIC``."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.server import Request

from hanoverd.hookbot.admission import Admission, Admitted, RequestHead, Verb
from hanoverd.hookbot.connections import LimitedConnections
from hanoverd.hookbot.flood import RateLimit
from hanoverd.hookbot.github import Webhook, read_push
from hanoverd.hookbot.limits import ServerLimits, ServerTimeouts
from hanoverd.hookbot.pushes import PushMemory
from hanoverd.hookbot.site import HookbotSite, header
from hanoverd.hookbot.subscribers import Subscribers
from hanoverd.runtime.refusal import Refused
from hanoverd.text.quoting import quoted

log = Logger()

_OK = b"OK\n"

#: How many refused webhooks are logged, and within how many seconds.
_MOST_REPORTS, _REPORT_PERIOD = 20, 60.0


class Server:
    """Receives messages and sends them to its listeners. Tokens are made with ``key``; with ``github_secret``, pushes in
    GitHub's webhooks are published for their branches. ``now`` returns the time of day, in seconds since 1970.
    """

    def __init__(
        self,
        clock: IReactorTime,
        key: str,
        github_secret: str | None,
        limits: ServerLimits = ServerLimits(),  # noqa: B008  # it is frozen
        timeouts: ServerTimeouts = ServerTimeouts(),  # noqa: B008  # it is frozen
        now: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._github_secret = github_secret
        self._limits = limits
        self._now = now
        self._pushes = PushMemory(now())
        self._reports = RateLimit(_MOST_REPORTS, _REPORT_PERIOD)
        self._admission = Admission(key, limits, has_router=github_secret is not None)
        self.subscribers = Subscribers(clock, limits, timeouts)

    def factory(self, tls: DefaultOpenSSLContextFactory | None = None) -> LimitedConnections:
        """Return the factory of connections, which answers HTTP requests; ``tls`` has the certificate."""
        site: Any = HookbotSite(self._clock, self, self._limits, self._now)
        if tls is not None:
            site = TLSMemoryBIOFactory(tls, isClient=False, wrappedFactory=site)
        # Outermost, so that a connection counts before its TLS handshake.
        return LimitedConnections(self._clock, site, self._limits)

    def drop_all(self) -> None:
        """Drop all listeners, at the end of the server."""
        self.subscribers.drop_all()

    def admit(self, head: RequestHead) -> Admitted:
        """Return what a request asks for, before its body is read; raises ``Refused``."""
        return self._admission.check(head)

    def answer(self, admitted: Admitted, request: Request, body: bytes) -> bytes | int:
        """Answer an admitted request; raises ``Refused``."""
        if admitted.verb is Verb.STATUS:
            return _OK
        if admitted.verb is Verb.SUBSCRIBE:
            return self.subscribers.answer(request)
        webhook = _webhook(request, body)
        if admitted.verb is Verb.ROUTE:
            return self._route(webhook)
        message = body if admitted.verb is Verb.PUBLISH else _wrapped(request, webhook)
        if len(message) > self._limits.message:
            raise Refused(413, f"413 Content Too Large: at most {self._limits.message} bytes, with GitHub's headers")
        self.subscribers.send(admitted.topic, message)
        return _OK

    def _route(self, webhook: Webhook) -> bytes:
        """Publish the push in a webhook for its branch. The webhook itself is not published: a copy of it is as valid."""
        assert self._github_secret is not None  # noqa: S101  # without it, nothing is routed
        try:
            push = read_push(webhook, self._github_secret)
            if push is None:
                return b"OK: ignored, because it is not a push to a branch\n"
            self._pushes.accept(push, self._now())
        except Refused as refused:
            # Anyone can send webhooks, and the sender has the reason anyway.
            if self._reports.allows(self._clock.seconds()):
                log.error("hookbot: webhook refused: {error}", event="webhook_dropped", error=refused)
            raise
        log.info("hookbot: published a push to {topic}", event="push_routed", topic=quoted(push.topic))
        self.subscribers.send(push.topic, push.message)
        return _OK


def _webhook(request: Request, body: bytes) -> Webhook:
    return Webhook(
        body,
        header(request, "X-GitHub-Event"),
        header(request, "X-Hub-Signature"),
        header(request, "X-Hub-Signature-256"),
    )


def _wrapped(request: Request, webhook: Webhook) -> bytes:
    """Return a webhook of GitHub with its headers: the event and the signatures."""
    wrapped: Mapping[str, str] = {
        "Delivery": header(request, "X-GitHub-Delivery"),
        "Event": webhook.event,
        "Payload": base64.b64encode(webhook.payload).decode(),
        "Signature": webhook.signature,
        "Signature256": webhook.signature256,
    }
    return json.dumps(wrapped, separators=(",", ":")).encode()
