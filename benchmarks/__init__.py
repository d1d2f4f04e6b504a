"""Measurements, each compared with the engine alone in the same run."""
