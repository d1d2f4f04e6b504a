"""What a fault is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.site import Site


@dataclass(frozen=True)
class Fault:
    """``happen`` does something to a site, repairs what only a person could, and returns what it did, in words; it fails
    with any exception where hanoverd did not do what it must.

    ``may_fail``: the app, or the way to it, is taken away, so that some requests cannot be saved.  ``storms``: it may
    happen in the middle of a storm of SIGHUPs, or of commands.  ``weight``: how often it is dealt in each round.
    """

    name: str
    happen: Callable[[Site], str]
    may_fail: bool = False
    storms: bool = False
    weight: int = 1
