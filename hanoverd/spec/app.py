"""Everything that an app is asked to be, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from hanoverd.spec.container import ContainerSpec
from hanoverd.spec.handover import HandoverSpec
from hanoverd.spec.health import HealthSpec, StatusKind
from hanoverd.spec.hookbot import HookbotSpec
from hanoverd.spec.log import TEXT
from hanoverd.spec.notifications import NotificationSpec
from hanoverd.spec.ports import PortRequest
from hanoverd.spec.restart import RestartPolicy
from hanoverd.spec.retention import RetentionSpec
from hanoverd.spec.run.streams import OUTPUT, Stream
from hanoverd.spec.source import SourceSpec
from hanoverd.spec.source_name import FOLDER, GIT, IMAGE

#: The sources whose images the engine, or another program, obtains.
_WITHOUT_TLS = frozenset({FOLDER, IMAGE, GIT})


@dataclass(frozen=True)
class AppSpec:
    """An app.  The command line produces it; each part of the daemon takes the part of it that it needs.

    ``ports`` are the ports that the app publishes on the host.  Without ``hookbot`` no messages trigger handovers.
    ``streams`` of the versions are logged.  ``cidfile`` is the path of the file that has the ID of the live container; "" for
    none.
    """

    name: str
    source: SourceSpec
    container: ContainerSpec
    ports: tuple[PortRequest, ...]
    health: HealthSpec
    handover: HandoverSpec
    restart: RestartPolicy
    retention: RetentionSpec
    notifications: NotificationSpec = field(default_factory=NotificationSpec)
    hookbot: HookbotSpec | None = None
    log_format: str = TEXT
    streams: tuple[Stream, ...] = OUTPUT
    cidfile: str = ""

    @property
    def needs_tls(self) -> bool:
        """Whether hanoverd itself may speak TLS by Twisted: to webhooks, hookbot, or the app, or in a source of a plugin."""
        has_peers = bool(self.notifications.urls) or self.hookbot is not None
        return has_peers or self.health.probe.kind is StatusKind.HTTPS or self.source.name.scheme not in _WITHOUT_TLS
