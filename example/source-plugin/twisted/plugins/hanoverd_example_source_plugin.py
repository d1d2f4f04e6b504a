"""Registers the source for ``hanoverd greeting:TEXT``."""

from hanoverd.images.kinds import SourceKind

greeting = SourceKind("greeting", "hanoverd_example_source.GreetingSource")
