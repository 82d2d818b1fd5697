"""Removing metadata from the file of an image: position, comments, thumbnails.

No pixel is touched. Of the metadata only what changes how it looks is kept: colour profile and
orientation. What comes after an image's end (the second image of an MPO, say) goes too.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

_ORIENTATION = 0x0112
_PNG = b"\x89PNG\r\n\x1a\n"
# How a PNG looks; everything else of it is text, time and private data.
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD pHYs acTL fcTL fdAT"
    .split()
)  # fmt: skip
_WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))


def strip(data: bytes, orientation: int) -> bytes | None:
    """A JPEG, PNG or WebP without metadata; `None` for other formats and damaged files.

    Args:
        data: the file.
        orientation: EXIF, 1 to 8, which is kept.
    """
    for magic, how in _FORMATS:
        if data.startswith(magic):
            try:
                return how(data, orientation)
            except (IndexError, struct.error, ValueError):
                return None
    return None


def media_type(data: bytes) -> str | None:
    """The media type of a file that browsers can show, or `None`."""
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith(_PNG):
        return "image/png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "image/gif"
    return None


def _exif(orientation: int) -> bytes:
    """A TIFF header with a single entry, the orientation."""
    entry = struct.pack(">HHIHH", _ORIENTATION, 3, 1, orientation, 0)
    return b"MM\x00*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


def _jpeg(data: bytes, orientation: int) -> bytes:
    out = [data[:2]]
    if orientation != 1:
        body = b"Exif\x00\x00" + _exif(orientation)
        out.append(b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body)
    at = 2
    while True:
        if data[at] != 0xFF:
            raise ValueError("no marker where one has to be")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker == 0xD9:
            return b"".join([*out, b"\xff\xd9"])
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:
            out.append(data[at : at + 2])
            at += 2
        else:
            end = at + 2 + struct.unpack_from(">H", data, at + 2)[0]
            if end < at + 4 or end > len(data):
                raise ValueError("a segment ends nowhere")
            if marker == 0xDA:
                after = _end_of_scan(data, end)
                out.append(data[at:after])
                at = after
                continue
            if _shapes_pixels(marker, data[at + 4 : end]):
                out.append(data[at:end])
            at = end


def _shapes_pixels(marker: int, body: bytes) -> bool:
    """Whether a JPEG segment changes how the image looks."""
    if marker == 0xE0:
        return body.startswith(b"JFIF\x00")  # JFXX is a thumbnail
    if marker == 0xE2:
        return body.startswith(b"ICC_PROFILE\x00")
    if marker == 0xEE:
        return body.startswith(b"Adobe")
    return not (0xE0 <= marker <= 0xEF or marker == 0xFE)


def _end_of_scan(data: bytes, at: int) -> int:
    """The position of the next marker that is not part of the entropy-coded data."""
    while True:
        at = data.index(b"\xff", at)
        if at + 1 >= len(data):
            raise ValueError("the data ends in the middle")
        following = data[at + 1]
        if following == 0xFF:
            at += 1
        elif following == 0 or 0xD0 <= following <= 0xD7:
            at += 2
        else:
            return at


def _png(data: bytes, orientation: int) -> bytes:
    out, at = [data[:8]], 8
    while True:
        length = struct.unpack_from(">I", data, at)[0]
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise ValueError("a chunk ends nowhere")
        if kind in _PNG_KEPT:
            out.append(data[at:end])
        if kind == b"IHDR" and orientation != 1:
            body = b"eXIf" + _exif(orientation)
            out.append(struct.pack(">I", len(body) - 4) + body)
            out.append(struct.pack(">I", zlib.crc32(body)))
        if kind == b"IEND":
            return b"".join(out)
        at = end


def _webp(data: bytes, orientation: int) -> bytes:
    if data[8:12] != b"WEBP":
        raise ValueError("another RIFF")
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    out: list[bytes] = []
    at = 12
    while at + 8 <= end:
        size = struct.unpack_from("<I", data, at + 4)[0]
        kind, after = data[at : at + 4], at + 8 + size
        if after > len(data):
            raise ValueError("a chunk ends nowhere")
        body = data[at + 8 : after]
        if kind == b"VP8X":
            # Of its flags, 8 says that there is EXIF and 4 that there is XMP.
            flags = body[0] & ~0x0C | (0x08 if orientation != 1 else 0)
            body = bytes([flags]) + body[1:]
        if kind in _WEBP_KEPT:
            out.append(_riff(kind, body))
        at = after + size % 2
    if orientation != 1:  # then there was a VP8X, for only such files have EXIF
        out.append(_riff(b"EXIF", _exif(orientation)))
    whole = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def _riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + b"\x00" * (len(body) % 2)


_FORMATS: tuple[tuple[bytes, Callable[[bytes, int], bytes]], ...] = (
    (b"\xff\xd8\xff", _jpeg),
    (_PNG, _png),
    (b"RIFF", _webp),
)
