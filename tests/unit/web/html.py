"""Reads a page as HTML: its elements, and whether each that was opened was closed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Elements without content (HTML Standard, section 13.1.2).
_VOID = {"meta", "link", "input", "img", "br"}


@dataclass
class Element:
    """An element."""

    name: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    own_text: str = ""

    def all(self, name: str = "", /, **attributes: str) -> list[Element]:
        """Return the elements within it, of this name and with these attributes."""
        return [
            one
            for one in self._walk()
            if name in ("", one.name) and all(one.attributes.get(key) == value for key, value in attributes.items())
        ]

    def one(self, name: str = "", /, **attributes: str) -> Element:
        """Return the only one of ``all``."""
        [found] = self.all(name, **attributes)
        return found

    @property
    def text(self) -> str:
        """Its text, with the blanks between words as a browser shows them."""
        return " ".join("".join(one.own_text for one in [self, *self._walk()]).split())

    def _walk(self) -> Iterator[Element]:
        for child in self.children:
            yield child
            yield from child._walk()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        assert closed.name == tag, f"</{tag}> closes <{closed.name}>"

    def handle_data(self, data: str) -> None:
        # Texts in their order, as far as the tests need it: each is an element of its own.
        self.open[-1].children.append(Element("#text", {}, own_text=data))


def parse(page: str, *, can_repeat_ids: bool = False) -> Element:
    """Return the page; AssertionError if an element is not closed, or if two have the same ID and not ``can_repeat_ids``."""
    parser = _Parser()
    parser.feed(page)
    parser.close()
    [root] = parser.open
    ids = [one.attributes["id"] for one in root.all() if "id" in one.attributes]
    assert can_repeat_ids or len(ids) == len(set(ids)), f"an ID stands twice: {sorted(ids)}"
    return root
