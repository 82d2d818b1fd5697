"""Decode JPEG 2000 at the scale that is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_MOST_LEVELS = 5  # that encoders usually write; more than a file has is an error


def reduce_jpeg2000(image: Image.Image, scale: float) -> None:
    """Let an opened JPEG 2000 be decoded at the smallest power of a half that is enough.

    OpenJPEG needs some 20 bytes for each pixel that it decodes.

    Args:
        image: Opened by Pillow, not loaded.
        scale: At most 1: the least scale that is enough.
    """
    opened: Any = image
    levels = 0
    while levels < _levels(opened) and 0.5 ** (levels + 1) >= scale:
        levels += 1
    if levels:
        opened.reduce = levels


def _levels(opened: Any) -> int:
    """How many levels of resolution below the whole a file has, by its COD marker."""
    opened.fp.seek(0)
    head = opened.fp.read(1 << 16)
    opened.fp.seek(0)
    at = head.find(b"\xff\x52", head.find(b"\xff\x4f\xff\x51"))
    # Marker, length (2), style (1), progression (1), layers (2), transform (1), then the levels.
    return min(head[at + 9], _MOST_LEVELS) if 0 <= at < len(head) - 9 else 0
