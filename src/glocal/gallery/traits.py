"""What a file has that speaks for keeping it, besides the image that it shows."""

from __future__ import annotations

import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.holdings import Held, companions, held
from glocal.images.formats import detect, open_header
from glocal.images.notes import read_details, read_notes
from glocal.images.quiet import decoder_warnings_ignored
from glocal.ranking.pixels import has_colour

if TYPE_CHECKING:
    from PIL import Image

LOSSLESS = frozenset(("PNG", "BMP", "PPM", "TIFF"))
"""Formats that keep pixels as they were, but for a TIFF that holds a JPEG."""

_STANDARD_LUMA = 3692.0  # sum of the JPEG standard's table for brightness, which is quality 50
_BITS_PER_SAMPLE = 258  # of TIFF


@dataclass(frozen=True, slots=True)
class Traits:
    """What speaks for keeping a file.

    Attributes:
        format: of the file, such as ``JPEG``.
        held: what it holds besides the image.
        coloured: whether it shows more than shades of one colour.
        transparent: whether any of it is.
        lossless: whether its pixels are stored as they were.
        palette: whether it has 256 colours at most.
        quality: of a JPEG, as its tables say, 1 to 100; `None` of others.
        films: whether files beside one of its files belong to it.
        deep: whether it has more than 256 levels in each channel.
        colours: the space of its colours where that is not sRGB or grey: the profile's name, or
            ``CMYK``; empty otherwise.
        notes: what people wrote into it, see `glocal.images.notes`.
        details: EXIF tags that tell how and where it was taken.
    """

    format: str
    held: Held
    coloured: bool
    transparent: bool
    lossless: bool
    palette: bool
    quality: int | None
    films: bool
    deep: bool = False
    colours: str = ""
    notes: frozenset[str] = frozenset()
    details: frozenset[int] = frozenset()


UNREAD = Traits("", Held(), True, False, False, False, None, False)
"""Of a file that did not have to be read, since nothing about it is proposed."""


def traits_of(data: bytes, path: Path, array: NDArray[np.uint8], paths: Collection[Path]) -> Traits:
    """What speaks for keeping a file.

    Args:
        data: its bytes.
        path: its name, since most camera RAW is TIFF by its bytes.
        array: ``(h, w, 3)`` uint8, its pixels.
        paths: all its names, beside which films and notes may lie.
    """
    name = detect(data) or ""
    holds = held(data, path)
    coloured = has_colour(array)
    films = any(companions(each) for each in paths)
    transparent, palette, deep, colours, quality = False, False, False, "", None
    lossless = name in LOSSLESS or (name == "WEBP" and b"VP8L" in data[:64])
    try:
        with decoder_warnings_ignored(), open_header(data, name) as opened:
            if opened.has_transparency_data:
                alpha = np.asarray(opened.convert("RGBA").getchannel("A"))
                transparent = bool(alpha.min() < 255)
            palette = name == "GIF" or opened.mode == "P"
            tables = getattr(opened, "quantization", None)
            if name == "JPEG" and tables:
                quality = _jpeg_quality(tables)
            if name == "TIFF" and opened.info.get("compression") == "jpeg":
                lossless = False
            deep = _is_deep(data, name, opened)
            colours = _colours(opened)
    except Exception:  # noqa: BLE001 - the pixels could be read; a header's oddities decide nothing
        holds = holds if not holds.alone else Held()
    return Traits(
        name,
        holds,
        coloured,
        transparent,
        lossless,
        palette,
        quality,
        films,
        deep,
        colours,
        read_notes(data),
        read_details(data),
    )


def _jpeg_quality(tables: dict[int, list[int]]) -> int:
    """The quality by which the Independent JPEG Group's encoder would have made its first table."""
    scale = 100 * sum(next(iter(tables.values()))) / _STANDARD_LUMA
    quality = 100 - scale / 2 if scale <= 100 else 5000 / scale
    return int(min(max(round(quality), 1), 100))


def _is_deep(data: bytes, name: str, opened: Image.Image) -> bool:
    """Whether a channel has more than eight bits; Pillow opens many such images as of eight."""
    if opened.mode.startswith("I") or opened.mode == "F":
        return True
    if name == "PNG":
        return data[24] > 8
    if name == "TIFF":
        tags: Any = getattr(opened, "tag_v2", {})
        return bool(max(tags.get(_BITS_PER_SAMPLE, (8,))) > 8)
    if name in ("HEIF", "AVIF"):
        at = data.find(b"pixi", 0, 1 << 16)  # version and flags, a count, bits of each channel
        return at >= 0 and any(bits > 8 for bits in data[at + 9 : at + 9 + min(data[at + 8], 4)])
    return False


def _colours(opened: Image.Image) -> str:
    from PIL import ImageCms

    if opened.mode == "CMYK":
        return "CMYK"
    profile = opened.info.get("icc_profile")
    if not isinstance(profile, bytes) or opened.mode in ("L", "LA", "1", "I;16"):
        return ""
    try:
        described = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        name, space = described.profile_description or "", described.xcolor_space
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ""
    if space.strip() != "RGB" or "srgb" in name.casefold():
        return ""
    return name.strip() or "a profile of its own"
