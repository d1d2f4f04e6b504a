"""Offers the source: `hanoverd greeting:TEXT` finds it by its scheme."""

from hanoverd.images.kinds import SourceKind

greeting = SourceKind("greeting", "hanoverd_example_source.GreetingSource")
