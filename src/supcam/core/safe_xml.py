"""Text of XML -> its tree, without trusting it: no document type, so no entities; bounded in length."""

from __future__ import annotations

import xml.etree.ElementTree as ET

MOST_BYTES = 16_000_000
"""Longer texts are refused, unless the caller allows more."""


class _TreeWithoutDoctype(ET.TreeBuilder):
    """A tree for which a document type, and with it every entity, is refused."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002
        raise ValueError("a document type declaration in the XML, which is refused")


def parse_xml(text: bytes | str, *, root: str, most_bytes: int = MOST_BYTES) -> ET.Element:
    """The root element, which must be called ``root`` whatever its namespace. Raises ``ValueError``."""
    if len(text) > most_bytes:
        raise ValueError(f"more than {most_bytes} bytes of XML")
    parser = ET.XMLParser(target=_TreeWithoutDoctype())  # noqa: S314 - no document type, so no entities
    try:
        parser.feed(text)
        tree: ET.Element = parser.close()
    except (ET.ParseError, LookupError) as error:
        raise ValueError(f"no well-formed XML: {error}") from error
    if local_name(tree) != root:
        raise ValueError(f"XML of another kind: <{local_name(tree)[:60]}> where <{root}> was expected")
    return tree


def local_name(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]
