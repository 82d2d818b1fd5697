"""Open HEIC and HEIF files with pi-heif."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from glocal.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image


def open_heif(data: bytes) -> Image.Image:
    """Open a HEIF file, which pi-heif turns upright by itself.

    It is opened by its class instead of being registered, so that the calling program's Pillow does
    not start to read another format.

    Raises:
        ImageError: The type of an item is not valid text.
        OSError, ValueError, SyntaxError, RuntimeError: Raised by libheif and pi-heif.
    """
    if not all(_is_text(entry) for entry in _item_entries(data)):
        # pi-heif up to 1.4 makes Python strings of these without looking whether that worked,
        # and one such byte ends the whole process.
        raise ImageError("damaged HEIF: an item's type isn't text")
    from pi_heif import HeifImageFile

    image: Image.Image = HeifImageFile(io.BytesIO(data))
    return image


def _item_entries(data: bytes) -> Iterator[bytes]:
    """Yield the bodies of the item entries ("infe" boxes) of the file's "meta" boxes."""
    at = 0
    while at + 8 <= len(data):
        size, kind, header = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = len(data) if size == 0 else min(at + size, len(data))
        if kind == b"meta":
            found = data.find(b"infe", at + header, end)
            while found != -1:
                length = int.from_bytes(data[found - 4 : found], "big") - 8
                yield data[found + 4 : min(found + 4 + length, end) if length > 0 else end]
                found = data.find(b"infe", found + 4, end)
        if end < at + header:
            return
        at = end


def _is_text(entry: bytes) -> bool:
    # Version and flags, the item's number (4 bytes since version 3), its protection, its kind.
    kind = 10 if entry[:1] == b"\x03" else 8
    try:
        entry[kind + 4 :].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return entry[kind : kind + 4].isascii()
