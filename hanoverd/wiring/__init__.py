"""Puts the programs together from their settings, a module each: the one place where every part meets its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hanoverd.commandline.settings import AnySettings, BuilderSettings, ServeSettings

if TYPE_CHECKING:
    from twisted.application.service import Service

#: What only this process need know: git, ssh and docker do without.
_OWN_SECRETS = (
    "HOOKBOT_URL",
    "HOOKBOT_MONITOR_URL",
    "HOOKBOT_DOCKER_NOTIFY_URL",
    "HOOKBOT_KEY",
    "HOOKBOT_GITHUB_SECRET",
    "HANOVERD_SECRETS",
)


def assemble(settings: AnySettings, environ: Mapping[str, str], reactor: Any, stdin: int) -> Service:
    """Check what can be checked at start, take hold of what must be one's own, and build the service.

    Fails with ``HanoverdError``, and then holds nothing.  Blocks for as long as the checks take.
    """
    # Late, all of them: a program loads what it needs, and not what another does.
    if isinstance(settings, ServeSettings):
        from hanoverd.wiring.hookbot import assemble_server  # noqa: PLC0415

        return assemble_server(settings, reactor)
    if isinstance(settings, BuilderSettings):
        from hanoverd.wiring.builder import assemble_builder  # noqa: PLC0415

        return assemble_builder(settings, _for_children(environ), reactor)
    from hanoverd.wiring.daemon import assemble_daemon  # noqa: PLC0415

    return assemble_daemon(settings, _for_children(environ), reactor, stdin)


def run_builder_once(settings: BuilderSettings, environ: Mapping[str, str], reactor: Any) -> bool:
    """Run the reactor for one build; whether all of it worked.  Fails with ``HanoverdError`` where it cannot begin."""
    from hanoverd.wiring.builder import run_once  # noqa: PLC0415  # as above

    return run_once(settings, _for_children(environ), reactor)


def _for_children(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name not in _OWN_SECRETS}
