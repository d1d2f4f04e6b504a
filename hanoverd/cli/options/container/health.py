"""Options of the container's own health check."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, INTEGER, NANOSECONDS

HEALTH = (
    Option(name="health-cmd", metavar="COMMAND", help="Command to run to check health"),
    Option(name="health-interval", metavar="DURATION", help="Time between running the check", value=NANOSECONDS),
    Option(
        name="health-retries",
        metavar="NUMBER",
        help="Consecutive failures needed to report unhealthy",
        value=INTEGER,
    ),
    Option(
        name="health-start-interval",
        metavar="DURATION",
        help="Time between running the check during the start period",
        value=NANOSECONDS,
    ),
    Option(
        name="health-start-period",
        metavar="DURATION",
        help="Start period for the container to initialize before starting the countdown of failures",
        value=NANOSECONDS,
    ),
    Option(
        name="health-timeout",
        metavar="DURATION",
        help="Maximum time to allow one check to run",
        value=NANOSECONDS,
    ),
    Option(
        name="no-healthcheck",
        kind=Kind.BOOLEAN,
        help="Disable any container-specified HEALTHCHECK",
        value=BOOLEAN,
    ),
)
