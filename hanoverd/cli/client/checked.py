"""The answers of a daemon, checked before they are shown: it can be of another version, or no hanoverd at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from hanoverd.daemons import answers
from hanoverd.daemons.connection import Daemon
from hanoverd.runtime.errors import ControlError

T = TypeVar("T")


def checked(daemon: Daemon, read: Callable[[Any], T], answer: Any) -> T:
    """Return what ``read`` makes of an answer; its ValueError becomes a ``ControlError``."""
    try:
        return read(answer)
    except ValueError as error:
        raise ControlError(
            f"the hanoverd that serves {daemon.app} answers something else than this one can read: {error}"
        ) from None


def status_of(daemon: Daemon) -> dict[str, Any]:
    """Return the status of a daemon's app, with all its keys.  Fails with ``ControlError``."""
    return checked(daemon, lambda answer: answers.status_of(answer, daemon.app), daemon.get("/status"))
