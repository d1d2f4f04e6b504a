"""Whether a version that has exited is restarted, as in docker run."""

from __future__ import annotations

from dataclasses import dataclass

NO, ALWAYS, UNLESS_STOPPED, ON_FAILURE = "no", "always", "unless-stopped", "on-failure"


@dataclass(frozen=True)
class RestartPolicy:
    """A restart policy; ``most`` is the maximum number of restarts in a row, None for no limit."""

    name: str
    most: int | None = None

    def allows(self, exit_code: int | None, restarts: int) -> bool:
        """Return whether to restart after ``restarts`` in a row; ``exit_code`` is None if the version never became ready."""
        if self.name == NO or (self.most is not None and restarts >= self.most):
            return False
        return self.name != ON_FAILURE or exit_code != 0


def parse_restart(text: str) -> RestartPolicy:
    """Read ``no``, ``always``, ``unless-stopped`` or ``on-failure[:N]``; ValueError in docker's words."""
    name, colon, count = text.partition(":")
    if name not in (NO, ALWAYS, UNLESS_STOPPED, ON_FAILURE):
        raise ValueError(
            f"invalid restart policy: unknown policy '{name}'; use no, always, unless-stopped or on-failure[:N]"
        )
    if not colon:
        return RestartPolicy(name)
    if name != ON_FAILURE:
        raise ValueError("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if not count.isascii() or not count.isdigit():
        raise ValueError("invalid restart policy: maximum retry count must be an integer")
    # As in docker, 0 means no limit.
    return RestartPolicy(name, int(count) or None)
