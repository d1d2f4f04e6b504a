"""Whether a version that has exited is to be started again, in the words of docker run."""

from __future__ import annotations

from dataclasses import dataclass

NO, ALWAYS, UNLESS_STOPPED, ON_FAILURE = "no", "always", "unless-stopped", "on-failure"


@dataclass(frozen=True)
class RestartPolicy:
    """``most`` is how often in a row, None without end."""

    name: str
    most: int | None = None

    def allows(self, exit_code: int | None, restarts: int) -> bool:
        """Whether to start it once more after ``restarts`` in a row; ``exit_code`` None where it never became ready."""
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
    # As docker's: 0 is no limit.
    return RestartPolicy(name, int(count) or None)
