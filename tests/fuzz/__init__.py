"""Fuzzing of all parsers of what strangers write: see ``__main__.py`` for how to run it."""
