"""The container's health check: the ``--health-*`` options as the engine's ``HealthConfig``."""

from __future__ import annotations

from collections.abc import Mapping

#: The fields of ``HealthConfig`` by option.
FIELDS = {
    "health-cmd": "Test",
    "health-interval": "Interval",
    "health-timeout": "Timeout",
    "health-start-period": "StartPeriod",
    "health-start-interval": "StartInterval",
    "health-retries": "Retries",
}


def healthcheck(given: Mapping[str, object], *, disabled: bool) -> dict[str, object] | None:
    """Return the ``Healthcheck`` of the create request from the values of the options; None if it is the image's.

    A value of 0, or an empty command, counts as not given.  ValueError, in docker's words.
    """
    fields = {FIELDS[name]: value for name, value in given.items() if value}
    if disabled:
        if fields:
            raise ValueError("--no-healthcheck conflicts with --health-* options")
        return {"Test": ["NONE"]}
    for name in FIELDS:
        value = given.get(name)
        if isinstance(value, int) and value < 0:
            raise ValueError(f"--{name} cannot be negative")
    if "Test" in fields:
        fields["Test"] = ["CMD-SHELL", fields["Test"]]
    return fields or None
