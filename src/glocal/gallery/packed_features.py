"""Local features as the gallery keeps them: 6 bytes for each, and 4 bits for each dimension.

Galleries of version 1 of the store keep a byte for each dimension.

Behind them may stand a small grey image, see `glocal.gallery.small_images`.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.errors import GalleryDamagedError

MOST_BYTES = 16 * 1024
"""Of what is kept of an image; a small image that would make it more is left out."""

_HEADER = struct.Struct("<BHH")  # version, local features, dimensions
_BITS = {1: 8, 2: 8, 3: 4}  # of a dimension, by version; from the second on an image may follow


def pack(local: LocalFeatures, small: bytes = b"", *, bits: int = 4) -> bytes:
    """Keypoints as 16-bit fractions, scores as float16, descriptors as signed numbers.

    Args:
        local: the local features of an image.
        small: the image itself, small and grey, as JPEG.
        bits: 4, in parts of the greatest number of each descriptor, or 8, in parts of 1.
    """
    count, dim = local.descriptors.shape
    points = np.rint(np.clip(local.keypoints, 0, 1) * 65_535).astype("<u2")
    version = {bits: version for version, bits in _BITS.items()}[bits]
    if bits == 4:
        descriptors = _in_nibbles(local.descriptors)
    else:
        descriptors = np.rint(np.clip(local.descriptors, -1, 1) * 127).astype(np.int8).view("u1")
    packed = b"".join(
        (
            _HEADER.pack(version, count, dim),
            points.tobytes(),
            local.scores.astype("<f2").tobytes(),
            descriptors.tobytes(),
        )
    )
    return packed + small if len(packed) + len(small) <= MOST_BYTES else packed


def unpack(packed: bytes) -> LocalFeatures:
    """The reverse of `pack`; descriptors are unit length again.

    Raises:
        GalleryDamagedError: the bytes are not what `pack` wrote.
    """
    bits, count, dim, _ = _layout(packed)
    at = _HEADER.size
    points = np.frombuffer(packed, "<u2", 2 * count, at).reshape(count, 2)
    scores = np.frombuffer(packed, "<f2", count, at + 4 * count)
    wide = _row_bytes(dim, bits)
    raw = np.frombuffer(packed, "u1", count * wide, at + 6 * count).reshape(count, wide)
    descriptors = raw.view(np.int8).astype(np.float32) if bits == 8 else _of_nibbles(raw, dim)
    descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)
    return LocalFeatures(
        points.astype(np.float32) / np.float32(65_535),
        descriptors,
        scores.astype(np.float32),
    )


def small_image(packed: bytes) -> bytes:
    """The JPEG behind the local features, or nothing.

    Raises:
        GalleryDamagedError: the bytes are not what `pack` wrote.
    """
    return packed[_layout(packed)[3] :]


def _layout(packed: bytes) -> tuple[int, int, int, int]:
    """Bits of a dimension, how many local features, of how many dimensions, where they end."""
    if len(packed) >= _HEADER.size:
        version, count, dim = _HEADER.unpack_from(packed)
        bits = _BITS.get(version, 0)
        end = _HEADER.size + count * (6 + _row_bytes(dim, bits))
        if bits and (len(packed) == end or (version > 1 and len(packed) > end)):
            return bits, count, dim, end
    raise GalleryDamagedError("local features in the catalogue cannot be read; run: glocal check")


def _row_bytes(dim: int, bits: int) -> int:
    return -(-dim * bits // 8)


def _in_nibbles(descriptors: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Two dimensions a byte, ``(n, ceil(e / 2))``: from -7 to 7 in parts of a row's greatest."""
    greatest = np.abs(descriptors).max(axis=1, keepdims=True, initial=1e-12)
    codes = (np.rint(descriptors * (7 / greatest)) + 8).astype(np.uint8)
    codes = np.pad(codes, ((0, 0), (0, codes.shape[1] % 2)), constant_values=8)
    return np.asarray(codes[:, ::2] << 4 | codes[:, 1::2], np.uint8)


def _of_nibbles(raw: NDArray[np.uint8], dim: int) -> NDArray[np.float32]:
    """The reverse, but for the length of each row, ``(n, e)``."""
    codes = np.stack([raw >> 4, raw & 15], axis=2).reshape(len(raw), 2 * raw.shape[1])
    return codes[:, :dim].astype(np.float32) - np.float32(8)
