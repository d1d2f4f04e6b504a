"""Whether a version that has exited is restarted, as in docker run."""

from __future__ import annotations

from dataclasses import dataclass

from hanoverd.text.numbers import parse_integer

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
    """Read ``NAME[:N]``; ValueError, in docker's words.  An empty text is ``no``."""
    name, colon, count = text.partition(":")
    if colon and not name:
        raise ValueError("invalid restart policy format: no policy provided before colon")
    try:
        # As in docker, 0 means no limit.
        most = parse_integer(count, base=10) or None if count else None
    except ValueError:
        raise ValueError("invalid restart policy format: maximum retry count must be an integer") from None
    return RestartPolicy(name or NO, most)


def check_restart(policy: RestartPolicy) -> None:
    """Raise ValueError, in the engine's words, for a policy that the engine does not know."""
    if policy.name not in (NO, ALWAYS, UNLESS_STOPPED, ON_FAILURE):
        raise ValueError(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'"
        )
    if policy.most is not None and policy.name != ON_FAILURE:
        raise ValueError("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.most is not None and policy.most < 0:
        raise ValueError("invalid restart policy: maximum retry count cannot be negative")
