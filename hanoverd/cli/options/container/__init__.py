"""The options of docker run, one row each, in the groups of the help."""

from __future__ import annotations

from hanoverd.cli.options.container.devices import DEVICES
from hanoverd.cli.options.container.environment import ENVIRONMENT
from hanoverd.cli.options.container.filesystem import FILESYSTEM
from hanoverd.cli.options.container.health import HEALTH
from hanoverd.cli.options.container.logging import LOGGING
from hanoverd.cli.options.container.network import NETWORK
from hanoverd.cli.options.container.process import PROCESS
from hanoverd.cli.options.container.resources import RESOURCES
from hanoverd.cli.options.container.security import SECURITY
from hanoverd.cli.options.container.windows import WINDOWS

#: The groups of help, each with its options.
GROUPS = (
    ("Process", PROCESS),
    ("Environment", ENVIRONMENT),
    ("Network", NETWORK),
    ("Filesystem", FILESYSTEM),
    ("Resource", RESOURCES),
    ("Device", DEVICES),
    ("Security", SECURITY),
    ("Health check", HEALTH),
    ("Logging", LOGGING),
    ("Windows container", WINDOWS),
)

CONTAINER = tuple(option for _, options in GROUPS for option in options)
