"""Keywords that a clip itself carries, or the XMP file that a photo program lays beside it."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

from rlld.errors import RlldError
from rlld.media.container import open_media

KEYS = ("keywords", "keyword", "com.apple.quicktime.keywords", "subject", "genre")
"""Fields of a container that hold keywords, as FFmpeg calls them."""
LARGEST = 4 << 20
"""Bytes of an XMP text."""
SUFFIXES = (".xmp", ".XMP")
PADDING = "\0 \r\n\t"
SUBJECT = "{http://purl.org/dc/elements/1.1/}subject"
ITEM = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"


def keywords_of(clip: Path) -> str | tuple[str, ...]:
    """Returns the keywords of a clip: of its XMP file, else of its XMP, else of its header.

    Returns:
        The items of a list as XMP has it, each one keyword; or the line of a header, which holds
        them all, with commas or the like between them.

    Raises:
        RlldError: If the clip or its XMP file cannot be read.
    """
    names = (f"{stem}{suffix}" for suffix in SUFFIXES for stem in (clip.stem, clip.name))
    for file in map(clip.with_name, names):
        if file.is_file():
            if file.stat().st_size > LARGEST:
                raise RlldError(f"{file}: is larger than an XMP file would be; remove it")
            if found := subjects(file.read_bytes(), str(file)):
                return found
    with open_media(clip, export_xmp="1") as container:
        # Ogg has its comments in the streams.
        held = [part.metadata for part in (*container.streams, container)]
        fields = {key.lower(): str(value) for each in held for key, value in each.items()}
    if fields.get("xmp") and (found := subjects(fields["xmp"].encode(), f"{clip}: its XMP")):
        return found
    return next((fields[key] for key in KEYS if fields.get(key, "").strip()), ())


def subjects(text: bytes, where: str) -> tuple[str, ...]:
    """Returns the keywords (``dc:subject``) of an XMP text.

    Args:
        text: The text.
        where: What it is, for messages.

    Raises:
        RlldError: If it is no XML, or declares entities.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        wide = text.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        told = text.decode("utf-16").strip(PADDING) if wide else text.strip(PADDING.encode())
        root = fromstring(told, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        reason = type(error).__name__ if isinstance(error, DefusedXmlException) else error
        raise RlldError(f"{where}: is no XMP that can be read ({reason}); write it again") from None
    found = [item.text or "" for subject in root.iter(SUBJECT) for item in subject.iter(ITEM)]
    return tuple(dict.fromkeys(word.strip() for word in found if word.strip()))
