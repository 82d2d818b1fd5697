"""How much memory decoders take, measured with `benchmarks/decoding_memory.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# Bytes for each pixel, at the peak, beside the encoded file; HEIF is taken to be like AVIF.
_BY_FORMAT = {"WEBP": 16.5, "JXL": 12.5, "HEIF": 10.0, "AVIF": 10.0, "GIF": 6.0}
_BY_MODE = {
    "RGBA": 8.5, "LA": 8.5, "PA": 8.5, "La": 8.5, "RGBa": 8.5,
    "I;16": 8.5, "I;16B": 8.5, "I;16L": 8.5, "I": 17.0, "F": 22.0,
}  # fmt: skip
_OTHER = 4.5


def bytes_per_pixel(image: Image.Image, name: str) -> float:
    """Estimate what decoding takes, by an image's format and mode.

    Args:
        image: Opened, not loaded.
        name: Its format; of JPEG, which is decoded scaled, nothing has to be known.
    """
    if name in _BY_FORMAT:
        return _BY_FORMAT[name]
    return _BY_MODE.get(image.mode, _OTHER)
