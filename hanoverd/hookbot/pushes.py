"""Decides which pushes move their branch forward. Pure: times are arguments.

A webhook keeps its valid signature: everybody who has a copy could send it again, and listeners would go back to an old
commit. So hookbot accepts a push only if it is news for its branch.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from hanoverd.hookbot.github import Push
from hanoverd.runtime.refusal import Refused

#: The age above which a push is refused, in seconds: GitHub repeats deliveries of the last three days (GitHub's
#: documentation, "Redelivering webhooks").
OLDEST = 3 * 24 * 3600.0

#: The age above which a push is refused, in seconds, if it is from before this hookbot's start, which then may have been
#: accepted already.
OLDEST_BEFORE_START = 3600.0

#: How far in the future a push may be, in seconds, because of a clock that is wrong.
_FUTURE = 3600.0

#: By how many seconds a push may be older than the commit that it replaces: GitHub's times are not from one clock.
_SKEW = 60.0

#: How many branches, and how many pushes, are remembered.
MOST = 10_000

#: How many commits are remembered that were replaced within one second.
_MOST_REPLACED = 16

_CONFLICT = 409


@dataclass(frozen=True)
class _Head:
    """What was accepted last for a branch. ``replaced``: the commits that pushes of the same second have replaced."""

    pushed_at: float
    commit: str
    replaced: tuple[str, ...]


class PushMemory:
    """Remembers which pushes were accepted; ``now`` is the time of the start, in seconds since 1970.

    ``most`` is how many branches are remembered, and how many pushes.
    """

    def __init__(self, now: float, most: int = MOST) -> None:
        self._most = most
        #: All pushes since this time that were accepted are remembered.
        self._complete_since = now
        self._heads: OrderedDict[str, _Head] = OrderedDict()
        self._accepted: OrderedDict[bytes, float] = OrderedDict()

    def accept(self, push: Push, now: float) -> None:
        """Remember ``push``; raises ``Refused`` if it does not move its branch forward."""
        self._check_age(push, now)
        if push.digest in self._accepted:
            raise _refused("it was delivered before. To deploy the commit again, use `hanoverd deploy APP`")
        head = self._heads.get(push.topic)
        if head is not None:
            _check_order(push, head)
        self._remember(push, head)

    def _check_age(self, push: Push, now: float) -> None:
        age = now - push.pushed_at
        if age < -_FUTURE:
            raise _refused(
                f"it was pushed at {_shown(push.pushed_at)}, in the future: check the clock of hookbot's host"
            )
        if age > OLDEST:
            raise _refused(f"it was pushed at {_shown(push.pushed_at)}, more than three days ago")
        if push.pushed_at < self._complete_since and age > OLDEST_BEFORE_START:
            raise _refused(
                f"it was pushed at {_shown(push.pushed_at)}, more than an hour ago, and before this hookbot was started, so "
                "it may have been delivered before"
            )

    def _remember(self, push: Push, head: _Head | None) -> None:
        pushed_at, replaced = push.pushed_at, [push.before]
        if head is not None and push.pushed_at <= head.pushed_at:
            pushed_at = head.pushed_at
            replaced = [*head.replaced, head.commit, push.before]
        # A commit that is pushed again is no longer replaced.
        others = list(dict.fromkeys(commit for commit in replaced if commit != push.after))
        self._heads[push.topic] = _Head(pushed_at, push.after, tuple(others[-_MOST_REPLACED:]))
        self._heads.move_to_end(push.topic)
        self._accepted[push.digest] = push.pushed_at
        while len(self._heads) > self._most:
            self._forget(self._heads.popitem(last=False)[1].pushed_at)
        while len(self._accepted) > self._most:
            self._forget(self._accepted.popitem(last=False)[1])

    def _forget(self, pushed_at: float) -> None:
        self._complete_since = max(self._complete_since, pushed_at)


def _check_order(push: Push, head: _Head) -> None:
    """Check that ``push`` is newer than the ``head`` of its branch: pushes can be lost, and overtake each other."""
    if push.before == head.commit and push.pushed_at >= head.pushed_at - _SKEW:
        return
    if push.pushed_at < head.pushed_at:
        raise _refused(
            f"it was pushed at {_shown(push.pushed_at)}, before {head.commit[:12]}, which was pushed to the same branch at "
            f"{_shown(head.pushed_at)}"
        )
    if push.pushed_at == head.pushed_at and (push.after == head.commit or push.after in head.replaced):
        raise _refused(f"{push.after[:12]} was replaced, or delivered, by another push in the same second")


def _refused(reason: str) -> Refused:
    return Refused(_CONFLICT, reason)


def _shown(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f}"
