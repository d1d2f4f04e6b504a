"""Creates the page from its specification."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import CannotListenError
from twisted.python.threadpool import ThreadPool

from hanoverd.runtime.errors import WebError
from hanoverd.runtime.extras import Extra
from hanoverd.runtime.file_limit import raise_file_limit
from hanoverd.runtime.state_folder import state_folder, token_file_of
from hanoverd.spec.web import WebSpec
from hanoverd.text.addresses import bracketed
from hanoverd.web.token import TokenFile, token_message

#: How many descriptors it needs: for 500 daemons with several requests each, 200 browsers, and some of its own.
_DESCRIPTORS = 4096

_BACKLOG, _THREADS = 128, 6


def assemble_web(spec: WebSpec, environ: Mapping[str, str], reactor: Any) -> Service:
    """Return the page as a service, which listens already.  A token that it creates is printed.

    Fails with ``WebError``, and with ``MissingExtra``.
    """
    for extra in (Extra.WEB, Extra.TEMPLATES, Extra.METRICS_OF_ALL):
        extra.check()
    # Late: the libraries are extras.
    from hanoverd.web.guard import Guard  # noqa: PLC0415
    from hanoverd.web.login import Login  # noqa: PLC0415
    from hanoverd.web.server import PageServer  # noqa: PLC0415
    from hanoverd.web.service import WebService  # noqa: PLC0415
    from hanoverd.web.sessions import Sessions  # noqa: PLC0415
    from hanoverd.web.site import PageSite  # noqa: PLC0415
    from hanoverd.web.visitors import Visitors  # noqa: PLC0415
    from hanoverd.web.watch import Sockets, Watcher, threads  # noqa: PLC0415

    uid = os.geteuid()
    raise_file_limit(_DESCRIPTORS)
    pool = ThreadPool(0, _THREADS, "page")
    in_thread = threads(reactor, pool)
    sessions = Sessions()
    login = None
    if spec.needs_login:
        file = TokenFile(token_file_of(state_folder(environ, uid)))
        _create_token(file)
        login = Login(reactor, file, sessions, in_thread)
    watcher = Watcher(reactor, Sockets(environ, uid), in_thread)
    visitors = Visitors(sessions, login, spec.port)
    guard = Guard(spec.allow_hosts, login is not None)
    server = PageServer(reactor, watcher, guard, visitors, in_thread, allows_actions=spec.allow_actions)
    site = PageSite(server.resource())
    address = bracketed(spec.host)
    try:
        listening = reactor.listenTCP(spec.port, site, _BACKLOG, spec.host)
    except (CannotListenError, OSError) as error:
        reason = getattr(error, "socketError", error)
        raise WebError(
            f"cannot serve the page at {address}:{spec.port}: {getattr(reason, 'strerror', None) or reason}: choose another --bind"
        ) from None
    url = f"http://{address}:{listening.getHost().port}/"
    is_open = spec.allow_actions and login is None
    return WebService(reactor, pool, watcher, server, site, listening, url, is_open=is_open)


def _create_token(file: TokenFile) -> None:
    """Print a token if there was none."""
    token = file.create()
    if token is not None:
        sys.stdout.write(token_message(token))
        sys.stdout.flush()
