"""The type of a fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.site import Site


@dataclass(frozen=True)
class Fault:
    """``happen`` breaks something on a site, repairs what only a person can repair, and returns a description of it.  It
    raises any exception if hanoverd did not do what it must.

    ``may_fail``: requests may fail meanwhile, because the app or the way to it is taken away.  ``storms``: it may happen
    while many SIGHUPs or commands arrive.  ``weight``: how often it happens in each round of all faults.
    """

    name: str
    happen: Callable[[Site], str]
    may_fail: bool = False
    storms: bool = False
    weight: int = 1
