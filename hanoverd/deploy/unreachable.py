"""Why the ports that are published now cannot be routed to a version. Pure."""

from __future__ import annotations

from hanoverd.runtime.errors import VersionFailed
from hanoverd.spec.container import NETWORK_MODE
from hanoverd.versions.version import Running


def unreachable_error(running: Running, *, suits: bool) -> VersionFailed:
    """Return the error for a version some of whose ports are not published.

    ``suits``: its options publish them, and it is the engine that did not.
    """
    if not suits:
        return VersionFailed(
            f"{running.name} failed: it was created for other published ports, or another kind of network, than the app has now"
        )
    network = running.created.recipe.options.settings.get(NETWORK_MODE) or "default"
    return VersionFailed(
        f"{running.name} failed: the engine has not published its ports, because its network {network} is internal or of "
        "another kind without published ports. Create the network again without --internal, or restart hanoverd with another "
        "--network"
    )
