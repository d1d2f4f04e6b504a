"""Finds the kinds of sources that are installed, hanoverd's own and other packages', as Twisted plugins."""

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
    """A kind of source whose class, ``implementation`` (``package.module.Class``), is loaded when it is used: listing
    the plugins loads all files of ``twisted/plugins``, and should stay quick.

    The class is called with the text behind the scheme and the ``SourceContext``.
    """

    def __init__(self, scheme: str, implementation: str) -> None:
        self.scheme = scheme
        self._implementation = implementation

    def source(self, text: str, context: SourceContext) -> Source:
        """The source that ``text`` names; fails as its class does."""
        found: Source = namedAny(self._implementation)(text, context)
        return found


def source_kinds() -> Mapping[str, ISourceKind]:
    """All kinds, by scheme; UsageError where two packages want the same one."""
    kinds: dict[str, ISourceKind] = {}
    for kind in getPlugins(ISourceKind):
        other = kinds.setdefault(kind.scheme, kind)
        if other is not kind:
            raise UsageError(f"two packages offer sources called {kind.scheme}: uninstall one of them")
    return kinds


def open_source(name: SourceName, context: SourceContext) -> Source:
    """The source that the command line names; fails with ``HanoverdError`` where it is wrong."""
    return source_kinds()[name.scheme].source(name.text, context)
