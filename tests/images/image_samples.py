"""Images made in code: a pattern no orientation leaves alone, in every format and mode."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(__file__).parent / "data"
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "PPM", "HEIF")


def pattern(width: int = 128, height: int = 96) -> np.ndarray:
    """Smooth enough for JPEG to keep it within a few levels, and different in each corner."""
    y, x = np.mgrid[0:height, 0:width]
    squares = (x // 32 + y // 32) % 2 * 200 + 20
    return np.stack([x * 255 // width, y * 255 // height, squares], axis=2).astype(np.uint8)


def encode(image: Image.Image | np.ndarray, format_name: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(file, format_name, **options)
    return file.getvalue()


def sample(format_name: str) -> bytes:
    """The pattern, 128 x 96, in one of ``FORMATS``."""
    if format_name == "HEIF":
        return (DATA / "plain.heic").read_bytes()
    options = {"JPEG": {"quality": 90, "subsampling": 0}, "WEBP": {"lossless": True}}
    return encode(pattern(), format_name, **options.get(format_name, {}))


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def turned(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera stores of ``upright`` with this EXIF orientation, by the standard's words.

    The tag says which side of the upright image the stored row 0 and column 0 are.
    """
    stored = upright
    rows_are_columns = orientation >= 5
    if orientation in (2, 3, 7, 6):  # 2, 3: column 0 is the right side; 6, 7: row 0 is the right
        stored = stored[:, ::-1]
    if orientation in (3, 4, 7, 8):  # 3, 4: row 0 is the bottom; 7, 8: column 0 is the bottom
        stored = stored[::-1]
    return np.ascontiguousarray(stored.transpose(1, 0, 2) if rows_are_columns else stored)


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean absolute difference in grey levels; infinite for different shapes."""
    if one.shape != other.shape:
        return float("inf")
    return float(np.abs(one.astype(int) - other).mean())
