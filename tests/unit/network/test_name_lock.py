"""One hanoverd for each name of an app."""

from __future__ import annotations

import os

import pytest

from hanoverd.network.name_lock import lock_name
from hanoverd.runtime.errors import NameTaken


def test_a_name_belongs_to_one_hanoverd_at_a_time() -> None:
    one, other = f"one-{os.getpid()}", f"other-{os.getpid()}"
    lock = lock_name(one)
    with pytest.raises(NameTaken, match=f"an app named {one} is running already"):
        lock_name(one)
    lock_name(other).close()
    lock.close()
    lock_name(one).close()
