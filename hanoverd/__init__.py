"""Replaces one version of a Docker application with the next without its users noticing."""

__version__ = "0.1.0"
