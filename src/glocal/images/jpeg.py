"""Decode JPEG in the DCT domain, at the scale that is needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.images.color import apply_profile, to_srgb
from glocal.images.truncated import LEAST_SHARE, decoded_share, is_truncation

if TYPE_CHECKING:
    from PIL import Image

# Encoders write about ten scans. A file of a few kilobytes can hold thousands, each of which
# costs a pass over every pixel the header claims: minutes for one image.
_MOST_SCANS = 500
_MARKER = re.compile(rb"\xff+([^\x00\xff])")
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_SCAN = _START_OF_SCAN << 8 | 0xFF  # of two bytes, the lower first
_ALMOST = 0.999  # of a progressive image, whose every row is there, though less finely
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


def decode_scaled(
    data: bytes, image: Image.Image, least: tuple[int, int]
) -> tuple[NDArray[np.uint8], float]:
    """Decode a JPEG to sRGB at the smallest eighth of its size that is not below ``least``.

    Args:
        data: The encoded file.
        image: The same file opened by Pillow, not loaded: gives the mode and profile, and decodes
            what libjpeg-turbo refuses.
        least: Least width and height in pixels, as stored.

    Returns:
        ``(h, w, 1 | 3)`` uint8, not turned upright; 1 channel for grey. And the share of its rows
        that could be decoded: below 1 where the file was cut off, at least `LEAST_SHARE`.

    Raises:
        ImageError: It has so many scans that it can only be meant to waste time.
        OSError, ValueError, SyntaxError: Raised by Pillow for a truncated or damaged file.
    """
    if _starts_of_scans(data) > _MOST_SCANS and count_scans(data) > _MOST_SCANS:
        raise ImageError(f"damaged JPEG: it has more than {_MOST_SCANS} scans")
    array = _turbo(data, image, least)
    if array is not None:
        return array, 1.0
    if least != image.size:
        image.draft(None, least)
    try:
        image.load()
    except OSError as error:
        array = _turbo(data, image, least, strict=False) if is_truncation(error) else None
        share = 0.0 if array is None else decoded_share(array)
        if array is None or share < LEAST_SHARE:
            raise
        return array, min(share, _ALMOST)
    return to_srgb(image), 1.0


def _starts_of_scans(data: bytes) -> int:
    """How often the bytes occur with which a scan starts: at least the number of scans.

    ``bytes.count`` takes several times as long, which is noticed in a run over many photos.
    """
    pairs = (np.frombuffer(data, "<u2", (len(data) - first) // 2, first) for first in (0, 1))
    return sum(int(np.count_nonzero(pair == _SCAN)) for pair in pairs)


def count_scans(data: bytes) -> int:
    """Count the scans of the first image of a JPEG file.

    Thumbnails in segments and videos after the end are not counted, since both may hold any bytes.
    """
    scans, at = 0, 2
    while (marker := _MARKER.search(data, at)) is not None:
        code, at = marker[1][0], marker.end()
        if code == _END_OF_IMAGE:
            break
        scans += code == _START_OF_SCAN
        if code not in _WITHOUT_LENGTH:
            at += int.from_bytes(data[at : at + 2], "big")
    return scans


def _turbo(
    data: bytes, image: Image.Image, least: tuple[int, int], *, strict: bool = True
) -> NDArray[np.uint8] | None:
    """Decode grey and YCbCr with libjpeg-turbo; None if Pillow has to decode the file.

    Strict decoding refuses what Pillow reads past (stray bytes between markers) as well as what
    Pillow refuses too (a missing end), so Pillow decides about what it refuses.
    """
    import simplejpeg

    if image.mode not in ("L", "RGB"):
        return None
    grey = image.mode == "L"
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        if strict and (width, height) != image.size:
            return None  # two headers, and Pillow believed the other one
        array: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            "GRAY" if grey else "RGB",
            min_width=least[0],
            min_height=least[1],
            strict=strict,
        )
    except ValueError:
        return None
    profile = image.info.get("icc_profile")
    if profile is None:
        return array
    from PIL import Image as PillowImage

    plane = PillowImage.fromarray(array[:, :, 0] if grey else array)
    coloured = apply_profile(plane, profile)
    return array if coloured is plane else np.array(coloured)
