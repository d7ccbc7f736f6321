"""XML bytes to elements, with the attacks refused: document type definitions, entities, depth, number of elements."""

from __future__ import annotations

from typing import Any, Final
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from tocsin.kernel.fault import Skippable

_DEEPEST: Final = 32
_MOST: Final = 100_000  # elements


def load(body: bytes, largest: int) -> Element:
    """The root element. Raises Skippable for XML that is not well-formed, is larger than `largest` bytes or declares a DTD."""
    if len(body) > largest:
        raise Skippable(f"{len(body)} bytes; at most {largest} are read (format option largest)")
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True)
    try:
        parser.feed(body)
        root = parser.close()
    except DefusedXmlException:
        raise Skippable("XML with a document type definition or entities is refused") from None
    except ParseError as error:
        raise Skippable(f"not well-formed XML: {error}") from None
    except (LookupError, ValueError) as error:  # an encoding nobody knows, or one that does not fit the bytes
        raise Skippable(f"XML that cannot be read: {type(error).__name__}") from None
    if not isinstance(root, Element):
        raise Skippable("XML without a root element")
    return root


class _Bounded(TreeBuilder):
    """Builds the tree and stops when it gets too deep or too large."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: Any, attrs: Any, /) -> Any:
        self._depth += 1
        self._count += 1
        if self._depth > _DEEPEST:
            raise Skippable(f"XML nested more than {_DEEPEST} deep")
        if self._count > _MOST:
            raise Skippable(f"XML with more than {_MOST} elements")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)
