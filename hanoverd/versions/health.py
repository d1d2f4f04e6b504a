"""Health probes: HTTP requests to a container, with treq."""

from __future__ import annotations

from collections.abc import Callable

from treq.client import HTTPClient
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import Agent
from twisted.web.http_headers import Headers

from hanoverd import __version__
from hanoverd.runtime.cancellation import settled
from hanoverd.runtime.limited_reads import LONGEST_REASON, LimitedReads, innermost
from hanoverd.spec.health import ProbeSpec, StatusKind
from hanoverd.spec.request_header import server_name_in
from hanoverd.text.lines import shortened
from hanoverd.versions.connect_race import ConnectReactor, RacingEndpoint
from hanoverd.versions.probe import PROBE_TIMEOUT, ProbeConnection, ProbeResult, timed_out


class Health:
    """Sends GET requests to containers, over TLS if the kind is ``https``.

    Each is sent on a connection of its own, and never through an HTTP proxy; redirects are not followed, and bodies are not
    read. A probe takes ``timeout`` seconds at most, and reads 128 KiB at most.
    """

    def __init__(self, reactor: ConnectReactor, spec: ProbeSpec, timeout: float = PROBE_TIMEOUT) -> None:
        self._reactor = reactor
        self._spec = spec
        self._timeout = timeout
        self._headers = Headers({"User-Agent": [f"hanoverd/{__version__}"]})
        for name in {name.lower() for name, _ in spec.headers}:
            self._headers.setRawHeaders(name, [value for other, value in spec.headers if other.lower() == name])
        self._is_tls = spec.kind is StatusKind.HTTPS

    async def probe(self, address: str, port: int, on_accept: Callable[[], object]) -> ProbeResult:
        """Send one request to a port, and return its answer; see ``Prober``."""
        connection = ProbeConnection(RacingEndpoint(self._reactor, address, port, self._timeout), on_accept)
        limited = LimitedReads(self._over_tls(connection) if self._is_tls else connection)
        client = HTTPClient(Agent.usingEndpointFactory(self._reactor, limited))
        request = client.get(
            f"{self._spec.kind}://{address}:{port}{self._spec.uri}",
            headers=self._headers.copy(),
            allow_redirects=False,
            unbuffered=True,
            reactor=self._reactor,  # type: ignore[arg-type]  # treq wants the whole of a reactor
        )
        # A request that is cancelled by the timer may fail in several ways: all of them are the timeout.
        request.addTimeout(self._timeout, self._reactor, onTimeoutCancel=timed_out)
        try:
            response = await settled(request)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # every failure means that the port is not ready
            summary = f"port {port}: {self._describe_tls(error) or limited.describe(error)}"
            return ProbeResult(port, connection.accepted, succeeded=False, summary=summary)
        finally:
            connection.close()
        status: int = response.code
        summary = f"port {port}: HTTP status {status}{_redirect_in(response)}"
        return ProbeResult(port, accepts=True, succeeded=status in self._spec.ok, summary=summary)

    # Late: only an app that is asked over TLS needs the memory for it.

    def _over_tls(self, connection: ProbeConnection) -> IStreamClientEndpoint:
        from hanoverd.versions.unverified_tls import without_verification  # noqa: PLC0415  # as above

        return without_verification(connection, server_name_in(self._spec.headers))

    def _describe_tls(self, error: Exception) -> str | None:
        if not self._is_tls:
            return None
        from hanoverd.versions.unverified_tls import describe_tls_error  # noqa: PLC0415  # as above

        return describe_tls_error(innermost(error))


def _redirect_in(response: object) -> str:
    locations = response.headers.getRawHeaders("Location", [])  # type: ignore[attr-defined]
    return f" to {shortened(locations[0], LONGEST_REASON)} (redirects are not followed)" if locations else ""
