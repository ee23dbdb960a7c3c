"""XML of other programs: written with indents, read without fetching or unfolding anything."""

from __future__ import annotations

from xml.etree.ElementTree import Element, indent, tostring

from rlld.errors import RlldError


def xml_text(root: Element) -> str:
    """Returns a document as text."""
    indent(root)
    # Line ends and tabs of attributes come back as blanks unless they are escaped, which it does.
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def parsed_xml(text: str, where: str, tag: str, what: str) -> Element:
    """Reads a document.

    Args:
        text: The text.
        where: Its file, for messages.
        tag: What its outermost element is called.
        what: What it should be, for messages.

    Raises:
        RlldError: If it is no XML, has entities of its own, or is another document.
    """
    import defusedxml.ElementTree as Safe
    from defusedxml.common import DefusedXmlException

    try:
        root: Element = Safe.fromstring(text)
    except (Safe.ParseError, DefusedXmlException, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise RlldError(f"{where}: no {what}, for it is no plain XML ({reason})") from None
    if root.tag != tag:
        raise RlldError(f"{where}: no {what}: it begins with <{root.tag}>, expected <{tag}>")
    return root
