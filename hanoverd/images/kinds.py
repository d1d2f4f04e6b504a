"""Finds the installed kinds of sources, hanoverd's own and those of other packages, as Twisted plugins."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.plugin import IPlugin, getPlugins
from twisted.python.reflect import namedAny
from zope.interface import implementer

from hanoverd.images import ISourceKind, Source, SourceContext
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.source_name import SourceName


@implementer(IPlugin, ISourceKind)
class SourceKind:
    """A kind of source with the class ``implementation`` (``package.module.Class``), which is imported at its first use.

    The class is called with the text after the scheme and the ``SourceContext``.
    """

    def __init__(self, scheme: str, implementation: str) -> None:
        self.scheme = scheme
        self._implementation = implementation

    def source(self, text: str, context: SourceContext) -> Source:
        """Return the source for ``text``; fails as the class does."""
        found: Source = namedAny(self._implementation)(text, context)
        return found


def source_kinds() -> Mapping[str, ISourceKind]:
    """Return all kinds, by scheme; fails with ``UsageError`` if two packages have the same scheme."""
    kinds: dict[str, ISourceKind] = {}
    for kind in getPlugins(ISourceKind):
        other = kinds.setdefault(kind.scheme, kind)
        if other is not kind:
            raise UsageError(f"two packages have sources with the scheme {kind.scheme}: uninstall one of them")
    return kinds


def open_source(name: SourceName, context: SourceContext) -> Source:
    """Return the source of the command line; fails with ``HanoverdError`` if it is invalid."""
    return source_kinds()[name.scheme].source(name.text, context)
