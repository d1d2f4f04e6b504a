"""The limits of the hookbot server, and the time limits of both sides of a websocket."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.hookbot.protocol import MAX_MESSAGE_BYTES

_MIB = 1024 * 1024

#: The time limit for a connection, in seconds.
CONNECT_TIMEOUT = 15.0


@dataclass(frozen=True)
class ClientTimeouts:
    """Times in seconds: ``open`` is the time limit for opening the websocket. The client sends a ping after ``ping``
    seconds, up to ``ping_spread`` more or less at random, and drops the connection without an answer within ``pong``. The
    defaults find a dead server within 40 seconds, as hookbot's own client does.
    """

    open: float = CONNECT_TIMEOUT
    ping: float = 15.0
    ping_spread: float = 5.0
    pong: float = 19.0
    #: The server may send so many frames, within so many seconds.
    frames: tuple[int, float] = (1000, 10.0)


@dataclass(frozen=True)
class ServerTimeouts:
    """Times in seconds, as for the client; the server has more time."""

    open: float = CONNECT_TIMEOUT
    ping: float = 30.0
    pong: float = 30.0


@dataclass(frozen=True)
class ServerLimits:
    """Limits of time, in seconds, and of size, in bytes.

    The head of a request has to arrive within ``head_timeout``, its body within ``body_timeout``, however many bytes arrive
    meanwhile; and a client that was refused is disconnected after ``linger`` at the latest.

    ``uri`` is the longest URI, with at most ``folders`` slashes in its path. ``message`` is the largest message, and
    ``webhook`` the largest webhook that the router reads: GitHub's limit (GitHub's documentation, "Webhook events and
    payloads"). All bodies that are being received have ``bodies`` together.

    There are at most ``connections``, ``strangers`` of them without a valid token, and ``per_address`` from one address (None: any number): from one IPv4 address, or one
    IPv6 network of 64 bits. Loopback addresses are exempt: a front end may be there.

    A listener is dropped when it has not received a message within ``send_timeout``, when more than ``waiting`` messages or
    ``waiting_bytes`` wait for it, when it is the slowest and ``unsent`` wait for all of them, or when it sends more than
    ``frames`` within ``frames_period``.
    """

    head_timeout: float = 15.0
    body_timeout: float = 60.0
    linger: float = 5.0
    uri: int = 4096
    folders: int = 64
    message: int = MAX_MESSAGE_BYTES
    webhook: int = 26 * _MIB
    bodies: int = 64 * _MIB
    connections: int = 10_000
    strangers: int = 2000
    per_address: int | None = 100
    send_timeout: float = 10.0
    waiting: int = 100
    waiting_bytes: int = 8 * _MIB
    unsent: int = 64 * _MIB
    frames: int = 100
    frames_period: float = 30.0
