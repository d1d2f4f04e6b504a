"""The options that say when a version is ready, and how the live version is checked."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import DURATION, POSITIVE_DURATION, STATUS_URI, number, plain
from hanoverd.spec.health import StatusKind
from hanoverd.spec.ports import HIGHEST_PORT
from hanoverd.spec.request_header import join_headers, parse_header
from hanoverd.spec.status_codes import StatusCodes


def _parse_port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= HIGHEST_PORT:
        raise ValueError(f"it must be a port of the container, 1 to {HIGHEST_PORT}")
    return int(text)


def _parse_kind(text: str) -> StatusKind:
    if text not in tuple(StatusKind):
        raise ValueError(f"it must be {' or '.join(StatusKind)}")
    return StatusKind(text)


READINESS = (
    Option(
        name="status-uri",
        metavar="URI",
        default="/",
        help="Path that answers 200 when a version is ready",
        text="""\
A path that starts with ``/``, and an optional query. One published port has to answer ``200`` there; the other
published ports have to accept connections. If no port is published, the ports that the image exposes count. Redirects
are not followed. ``--status-ok`` accepts other answers.""",
        value=STATUS_URI,
        place="health.probe.uri",
    ),
    Option(
        name="status-timeout",
        metavar="DURATION",
        default="5m",
        help="Maximum time until a new version is ready",
        text="""\
It starts when the container starts. A version that takes longer is removed. ``hanoverd deploy --status-timeout`` sets
another time for one handover.""",
        value=POSITIVE_DURATION,
        place="health.ready_timeout",
    ),
    Option(
        name="status-kind",
        metavar="http|https|tcp|docker|none",
        default="http",
        help="What shows that a version is ready",
        text="""\
``http``: an answer of 200 to a request for ``--status-uri``. ``https``: the same over TLS; the certificate is not
verified, because the app is asked at its container's address, and the host name in a header ``Host`` is the server name
of TLS, too. ``tcp``: each port accepts a connection, and does not close it within 100 ms. ``docker``: the image's
HEALTHCHECK, or ``--health-cmd``, is healthy; a version whose check is unhealthy, or that has none, fails at once.
``none``: the version has run for one second.""",
        value=plain(_parse_kind),
        place="health.probe.kind",
    ),
    Option(
        name="status-port",
        metavar="PORT",
        help="Port of the container that shows readiness (default: any published port)",
        text="""\
It need not be published: an app can have a port for such requests alone. Every published port still has to accept
connections.""",
        value=plain(_parse_port, is_late=True),
        place="health.probe.port",
    ),
    Option(
        name="status-header",
        kind=Kind.REPEATED,
        metavar="NAME: VALUE",
        help="Header of the request for --status-uri, such as Host: shop.example",
        text="""\
Without ``Host``, the header has the container's address and port. Values can be secret, as in ``Authorization``: they
are not logged, and ``--dry-run`` shows only the names.""",
        value=plain(parse_header, is_late=True, join=join_headers),
        place="health.probe.headers",
        secret=Secret.AFTER_COLON,
    ),
    Option(
        name="status-ok",
        metavar="CODES",
        default="200",
        help="HTTP statuses that mean ready, such as 200-299,301",
        text="A redirect whose status is among them means ready; it is not followed.",
        value=plain(StatusCodes.parse, is_late=True),
        place="health.probe.ok",
    ),
    Option(
        name="status-interval",
        metavar="DURATION",
        help="Time from one probe to the next (default: 1 ms, growing to 250 ms)",
        text="""\
Without it, a port that refuses connections is probed after 1 ms at first, a port that answers otherwise after 10 ms, then
less and less often. With ``--status-successes``, the default is 250 ms after a success. For ``--status-kind docker`` it is
the time between two looks at the health check, 100 ms by default. A probe that takes longer, 5 s at most, delays the next.""",
        value=POSITIVE_DURATION,
        place="health.probe.interval",
    ),
    Option(
        name="status-successes",
        metavar="N",
        default="1",
        help="Number of probes in a row that must succeed",
        text="For an app that answers well once and then fails. A failed probe starts the count again.",
        value=number(1),
        place="health.probe.successes",
    ),
    Option(
        name="watch",
        metavar="DURATION",
        default="0s",
        help="Interval between checks of the live version; 0 disables them",
        text="""\
The check is the same as for readiness; one success is enough. An unhealthy HEALTHCHECK of the image also counts as a
failure. After ``--watch-failures`` failures in a row a new version of the same image replaces the live version, if
``--restart`` allows it. The live version serves until the new one is ready.""",
        value=DURATION,
        place="health.interval",
    ),
    Option(
        name="watch-failures",
        metavar="N",
        default="3",
        help="Number of failed checks in a row that replace the live version",
        value=number(1),
        place="health.failures",
    ),
)
