"""Connections to the host of a hookbot URL, with or without TLS, and the header with the token."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates

from hanoverd.hookbot.limits import CONNECT_TIMEOUT
from hanoverd.runtime.errors import HookbotError
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.spec.hookbot import HookbotURL

#: The certificates to trust: Twisted's IOpenSSLTrustRoot, which is not public.
Trust = Any


def load_trust(ca_file: str | None) -> Trust:
    """Return the certificates to trust: those in the PEM file ``ca_file``, or the system's.

    Fails with ``HookbotError`` if the file cannot be used.
    """
    if ca_file is None:
        return platformTrust()
    try:
        found = re.findall(
            rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", Path(ca_file).read_bytes(), re.DOTALL
        )
    except OSError as error:
        raise HookbotError(f"cannot read the certificates in {ca_file}: {error.strerror}") from None
    if not found:
        raise HookbotError(f"{ca_file} has no certificate: it should be a PEM file")
    return trustRootFromCertificates([Certificate.loadPEM(pem) for pem in found])


def hookbot_endpoint(
    reactor: ClientReactor, url: HookbotURL, trust: Trust, timeout: float = CONNECT_TIMEOUT
) -> IStreamClientEndpoint:
    """Return an endpoint for the host of ``url``; with TLS, the host must have a certificate for its name."""
    endpoint = HostnameEndpoint(reactor, url.host, url.port, timeout=timeout)
    if not url.is_secure:
        return endpoint
    tls: IStreamClientEndpoint = wrapClientTLS(optionsForClientTLS(url.host, trustRoot=trust), endpoint)
    return tls


def basic_authorization(token: str) -> str:
    """Return the value of the header Authorization: the token as the user name, without a password (RFC 7617)."""
    return f"Basic {base64.b64encode(f'{token}:'.encode()).decode()}"
