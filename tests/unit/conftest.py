"""Settings for all unit tests."""

from __future__ import annotations

from hypothesis import settings

# The same examples in every run: what fails for one person fails for everyone.
settings.register_profile("steady", deadline=None, derandomize=True, database=None)
settings.load_profile("steady")
