"""TLS to a container, whose certificate is not verified: it is for the app's name, and the app is asked at its address."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import CertificateOptions
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer


def without_verification(endpoint: IStreamClientEndpoint, server_name: str | None) -> IStreamClientEndpoint:
    """Return an endpoint that speaks TLS on the connections of ``endpoint``, with any certificate.

    ``server_name`` is the name that the server is asked for (RFC 6066, SNI), if any.
    """
    wrapped: IStreamClientEndpoint = wrapClientTLS(_Unverified(server_name), endpoint)
    return wrapped


def describe_tls_error(error: BaseException) -> str | None:
    """Return why a TLS connection failed, in OpenSSL's words; None for another error."""
    if not isinstance(error, SSL.Error):
        return None
    details = error.args[0] if error.args else []
    reasons = [str(detail[-1]) for detail in details if isinstance(detail, tuple) and detail]
    return f"no TLS connection: {', '.join(reasons) or 'the server closed it'}"


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    def __init__(self, server_name: str | None) -> None:
        self._context = CertificateOptions().getContext()
        self._server_name = server_name

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002  # the interface's
        connection = SSL.Connection(self._context, None)
        if self._server_name is not None:
            connection.set_tlsext_host_name(self._server_name.encode("ascii"))
        return connection
