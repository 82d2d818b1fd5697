"""Local features as the gallery keeps them: 6 bytes for each, and one byte for each dimension.

Behind them may stand a small grey image, see `glocal.gallery.small_images`.
"""

from __future__ import annotations

import struct

import numpy as np

from glocal.encoders import LocalFeatures
from glocal.errors import GalleryDamagedError

MOST_BYTES = 16 * 1024
"""Of what is kept of an image; a small image that would make it more is left out."""

_HEADER = struct.Struct("<BHH")  # version, local features, dimensions
_VERSIONS = (1, 2)  # in the second a small image may follow


def pack(local: LocalFeatures, small: bytes = b"") -> bytes:
    """Keypoints as 16-bit fractions, scores as float16, descriptors as signed bytes.

    Args:
        local: the local features of an image.
        small: the image itself, small and grey, as JPEG.
    """
    count, dim = local.descriptors.shape
    points = np.rint(np.clip(local.keypoints, 0, 1) * 65_535).astype("<u2")
    descriptors = np.rint(np.clip(local.descriptors, -1, 1) * 127).astype(np.int8)
    packed = b"".join(
        (
            _HEADER.pack(_VERSIONS[-1], count, dim),
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
    count, dim, _ = _layout(packed)
    at = _HEADER.size
    points = np.frombuffer(packed, "<u2", 2 * count, at).reshape(count, 2)
    scores = np.frombuffer(packed, "<f2", count, at + 4 * count)
    raw = np.frombuffer(packed, np.int8, count * dim, at + 6 * count).reshape(count, dim)
    descriptors = raw.astype(np.float32)
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
    return packed[_layout(packed)[2] :]


def _layout(packed: bytes) -> tuple[int, int, int]:
    """How many local features, of how many dimensions, and where they end."""
    if len(packed) >= _HEADER.size:
        version, count, dim = _HEADER.unpack_from(packed)
        end = _HEADER.size + count * (6 + dim)
        if version in _VERSIONS and (len(packed) == end or (version > 1 and len(packed) > end)):
            return count, dim, end
    raise GalleryDamagedError("local features in the catalogue cannot be read; run: glocal check")
