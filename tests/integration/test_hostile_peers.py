"""A short campaign of hostile peers, the shapes of known mistakes among them: no request fails, and memory stays bounded."""

from __future__ import annotations

from tests.faults.campaign import run
from tests.faults.hostilities import HOSTILITIES

SEED = 4

NAMES = (
    "git host: message that names a lock",
    "git host: flood of messages",
    "registry: wrong blobs",
    "archive server: extended header of 300 MiB",
    "archive server: index that refers to itself",
    "hookbot: endless headers",
    "hookbot: empty fragments",
    "webhook: endless headers",
    "hook: 64 MiB without line ends",
    "app: endless headers",
    "app that serves: escape sequences",
    "app that is not ready: no line ends",
)


def test_hanoverd_survives_hostile_peers() -> None:
    faults = [fault for fault in HOSTILITIES if fault.name in NAMES]
    assert len(faults) == len(NAMES)
    sums = run(SEED, lambda count: count < len(NAMES), faults=faults)
    print(sums)
    assert (len(sums.results), [str(result) for result in sums.failures], sums.left) == (len(NAMES), [], [])
