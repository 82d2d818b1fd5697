"""What people and cameras have written into an image's file beside its pixels.

Two files with the same pixels are worth the same only if neither has keywords, a caption, a rating
or a shutter time that the other one lacks. XMP is searched, not parsed, as in
`glocal.images.captions`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

from glocal.images.captions import read_caption
from glocal.images.facts import xmp_of
from glocal.images.formats import detect, open_header
from glocal.images.quiet import decoder_warnings_ignored
from glocal.images.xmp import list_items, packet_text

_MOST = 200  # notes of one file
_LONGEST = 500  # characters of each
_EXIF_IFD, _GPS_IFD = 0x8769, 0x8825
_RATING, _ARTIST, _COPYRIGHT = 0x4746, 0x013B, 0x8298
_SIMPLE = re.compile(
    r"\b(xmp:Rating|xmp:Label|mwg-rs:Name|photoshop:Instructions|photoshop:City|"
    r"photoshop:Country|photoshop:State|Iptc4xmpCore:Location)"
    r"(?:\s*=\s*[\"']([^\"'<]{1,500})[\"']|>([^<]{1,500})<)"
)
_LISTS = (
    "dc:title", "dc:description", "dc:subject", "dc:creator", "dc:rights",
    "lr:hierarchicalSubject", "digiKam:TagsList", "Iptc4xmpExt:PersonInImage",
    "MicrosoftPhoto:LastKeywordXMP", "acdsee:categories",
)  # fmt: skip
_PROGRAMS = ("creator: gd-jpeg", "lavc", "intel", "file written by adobe", "optimized by", "cs=itu")
"""How comments begin that programs leave of themselves."""

_NO_NOTES = frozenset(
    ("software", "date:create", "date:modify", "date:timestamp", "creation time", "xmp",
     "xml:com.adobe.xmp", "raw profile type exif", "raw profile type xmp", "raw profile type iptc",
     "raw profile type icc", "raw profile type app1", "chromaticity")
)  # fmt: skip
_OF_THE_FILE = frozenset(
    (0x9000, 0x9101, 0x9102, 0xA000, 0xA001, 0xA002, 0xA003, 0xA005, 0x927C, 0x9286)
)
"""EXIF tags that tell of the file and not of the photograph: versions, components, sizes, the
maker's own; and the comment, which is a note."""


def read_notes(data: bytes) -> frozenset[str]:
    """What people have written into a file, each note once.

    Titles, descriptions, keywords, names of people, creators and rights, ratings, labels, places in
    words, comments; of PNG every text that is not a program's own.

    Args:
        data: the content of the file; what cannot be read has none.
    """
    found = dict.fromkeys(line for line in read_caption(data).splitlines() if line)
    kind = detect(data)
    if kind is not None and kind != "RAW":
        try:
            with decoder_warnings_ignored(), open_header(data, kind) as image:
                found.update(dict.fromkeys(_cleaned(_notes(image))))
        except Exception:  # noqa: BLE001 - a damaged file breaks decoders in every possible way
            return frozenset(list(found)[:_MOST])
    return frozenset(list(found)[:_MOST])


def read_details(data: bytes) -> frozenset[int]:
    """EXIF tags that tell how and where a photograph was taken; see `Facts` for what is read.

    Args:
        data: the content of the file; what cannot be read has none.
    """
    kind = detect(data)
    if kind is None or kind == "RAW":
        return frozenset()
    try:
        with decoder_warnings_ignored(), open_header(data, kind) as image:
            exif = image.getexif()
            tags = set(exif.get_ifd(_EXIF_IFD)) - _OF_THE_FILE
            tags |= {0x10000 + tag for tag in exif.get_ifd(_GPS_IFD) if tag}  # 0: its version
            return frozenset(int(tag) for tag in tags)
    except Exception:  # noqa: BLE001 - as above
        return frozenset()


def _notes(image: Any) -> Iterator[str]:
    exif = image.getexif()
    for tag in (_RATING, _ARTIST, _COPYRIGHT):
        if exif.get(tag):
            yield f"{exif.get(tag)}" if tag != _RATING else f"rating {exif.get(tag)}"
    comment = image.info.get("comment")
    text = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else comment
    if isinstance(text, str) and not text.casefold().startswith(_PROGRAMS):
        yield text
    if image.format == "PNG":
        for name, value in image.info.items():
            if isinstance(value, str) and str(name).casefold() not in _NO_NOTES:
                yield value
    yield from _xmp_notes(xmp_of(image))


def _xmp_notes(packet: object) -> Iterator[str]:
    text = packet_text(packet)
    for name, one, other in _SIMPLE.findall(text):
        value = html.unescape(one or other).strip()
        if name == "xmp:Rating":
            if value not in ("0", "0.0"):  # not rated
                yield f"rating {value}"
        else:
            yield value
    yield from list_items(text, _LISTS)


def _cleaned(notes: Iterator[str]) -> Iterator[str]:
    for note in notes:
        line = " ".join(note.split("\x00", 1)[0][: 2 * _LONGEST].split())[:_LONGEST]
        if line:
            yield line
