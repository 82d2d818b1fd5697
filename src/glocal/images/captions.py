"""What an image's file says of it in words: title, description, keywords.

They come from EXIF, IPTC, XMP and the text of PNG, and from a sidecar. XMP is searched and not
parsed, as in `glocal.images.xmp`: it may be damaged, be of any size, and define entities that
explode. What cameras write of themselves is no caption.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from glocal.errors import ImageError
from glocal.images.formats import detect, open_header
from glocal.images.limits import Limits
from glocal.images.quiet import decoder_warnings_ignored
from glocal.images.sources import read_bytes
from glocal.images.url_paths import UrlPath
from glocal.images.xmp import list_items, packet_text

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

MOST_CHARACTERS = 2_000
"""Characters of a caption that are kept."""

_SIDECAR = Limits(max_bytes=2**20)
_EXIF_IFD, _DESCRIPTION, _USER_COMMENT, _XMP_TAG = 0x8769, 0x010E, 0x9286, 0x02BC
_WINDOWS = (0x9C9B, 0x9C9F, 0x9C9C, 0x9C9E)  # XPTitle, XPSubject, XPComment, XPKeywords: UTF-16
_IPTC = ((2, 5), (2, 105), (2, 120), (2, 25))  # object name, headline, caption, keywords
_CHARSETS = {b"ASCII": "utf-8", b"UNICODE": "utf-16", b"JIS": "iso2022_jp"}
_PNG = ("Title", "Description", "Comment")
_XMP_LISTS = ("dc:title", "dc:description", "dc:subject")
_XMP_SIMPLE = re.compile(r"\b(?:photoshop:Headline|dc:title|dc:description)=[\"']([^\"'<]{1,2000})")
_OF_THE_CAMERA = frozenset(
    (
        "digital camera", "olympus digital camera", "sony dsc", "minolta digital camera",
        "konica minolta digital camera", "samsung camera pictures", "kodak digital still camera",
        "exif_jpeg_picture", "exif jpeg", "jpeg picture", "lead technologies inc. v1.01",
        "user comments", "user comment", "comment", "ascii", "default", "hdr", "screenshot",
    )
)  # fmt: skip


def read_caption(data: bytes, path: Path | None = None) -> str:
    """The caption of an image, its parts joined by line breaks; empty where it has none.

    Args:
        data: the content of its file, of any kind; what cannot be read says nothing.
        path: of the file, to find a sidecar beside it.
    """
    with decoder_warnings_ignored():
        found = _in_file(data)
    if path is not None and not isinstance(path, UrlPath):
        for beside in (path.with_suffix(".xmp"), path.with_name(path.name + ".xmp")):
            try:
                found += _xmp(read_bytes(beside, _SIDECAR))
            except (ImageError, ValueError):
                continue
    return _joined(found)


def _in_file(data: bytes) -> list[str]:
    """What each source in a file says; one that is damaged leaves the others as they are."""
    kind = detect(data)
    if kind is None or kind == "RAW":
        return []
    found: list[str] = []
    try:
        with open_header(data, kind) as image:
            for source in (_exif, _iptc, _text, _embedded_xmp):
                found += _taken_from(source, image)
    except Exception:  # noqa: BLE001 - a damaged file breaks decoders in every possible way
        return found
    return found


def _taken_from(source: Any, image: Image.Image) -> list[str]:
    """What one source says; nothing where it is damaged."""
    try:
        return list(source(image))
    except Exception:  # noqa: BLE001 - as above
        return []


def _exif(image: Image.Image) -> Iterator[str]:
    exif = image.getexif()
    yield _decoded(exif.get(_DESCRIPTION))
    for tag in _WINDOWS:
        value = exif.get(tag)
        if isinstance(value, tuple):
            value = bytes(value)
        if isinstance(value, bytes):
            yield value.decode("utf-16-le", "replace")
    comment = exif.get_ifd(_EXIF_IFD).get(_USER_COMMENT)
    if isinstance(comment, bytes):
        head, rest = comment[:8].rstrip(b"\0 "), comment[8:]
        if head == b"UNICODE":  # in the byte order of the file, which only the text itself tells
            little = rest[1::2].count(0) >= rest[::2].count(0)
            yield rest.decode("utf-16-le" if little else "utf-16-be", "replace")
        else:
            yield rest.decode(_CHARSETS.get(head, "utf-8"), "replace")
    else:
        yield _decoded(comment)


def _iptc(image: Image.Image) -> Iterator[str]:
    from PIL.IptcImagePlugin import getiptcinfo

    known: dict[Any, Any] = getiptcinfo(cast("ImageFile", image)) or {}
    for key in _IPTC:
        value = known.get(key, [])
        for each in value if isinstance(value, list) else [value]:
            yield _decoded(each)


def _text(image: Image.Image) -> Iterator[str]:
    if image.format == "PNG":
        yield from (_decoded(image.info.get(name)) for name in _PNG)


def _embedded_xmp(image: Image.Image) -> Iterator[str]:
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    tags: Any = getattr(image, "tag_v2", None)
    if packet is None and tags is not None:
        packet = tags.get(_XMP_TAG)
    yield from _xmp(packet)


def _xmp(packet: Any) -> Iterator[str]:
    text = packet_text(packet)
    for match in _XMP_SIMPLE.finditer(text):
        yield html.unescape(match[1])
    yield from list_items(text, _XMP_LISTS)


def _decoded(value: object) -> str:
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            return value.decode("latin-1")
    if not isinstance(value, str):
        return ""
    try:  # Pillow reads as Latin-1 what most programs write as UTF-8
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


def _joined(texts: Iterable[str]) -> str:
    """The texts that say something, each once, on a line of its own."""
    kept = dict[str, None]()
    for text in texts:
        legible = text.split("\x00", 1)[0][: 2 * MOST_CHARACTERS].replace("\ufffd", " ")
        printable = "".join(c if c.isprintable() else " " for c in legible)
        line = " ".join(printable.split())
        if any(map(str.isalnum, line)) and not _by_camera(line):
            kept[line] = None
    return "\n".join(kept)[:MOST_CHARACTERS]


def _by_camera(line: str) -> bool:
    return line.lower() in _OF_THE_CAMERA or line.startswith("DCIM\\")
