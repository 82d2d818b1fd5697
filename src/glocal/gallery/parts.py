"""Local parts as the gallery keeps them: about 6 bytes a part besides one byte a dimension."""

from __future__ import annotations

import struct

import numpy as np

from glocal.encoders import LocalParts
from glocal.errors import GalleryDamagedError

_HEADER = struct.Struct("<BHH")  # version, parts, dimensions
_VERSION = 1


def pack(parts: LocalParts) -> bytes:
    """Keypoints as 16-bit fractions, strengths as float16, descriptors as signed bytes."""
    count, dim = parts.descriptors.shape
    points = np.rint(np.clip(parts.keypoints, 0, 1) * 65_535).astype("<u2")
    descriptors = np.rint(np.clip(parts.descriptors, -1, 1) * 127).astype(np.int8)
    return b"".join(
        (
            _HEADER.pack(_VERSION, count, dim),
            points.tobytes(),
            parts.strengths.astype("<f2").tobytes(),
            descriptors.tobytes(),
        )
    )


def unpack(packed: bytes) -> LocalParts:
    """The reverse of `pack`; descriptors are unit length again.

    Raises:
        GalleryDamagedError: the bytes are not what `pack` wrote.
    """
    try:
        version, count, dim = _HEADER.unpack_from(packed)
    except struct.error:
        version, count, dim = 0, 0, 0
    if version != _VERSION or len(packed) != _HEADER.size + count * (6 + dim):
        raise GalleryDamagedError("local parts in the catalogue cannot be read; run: glocal check")
    at = _HEADER.size
    points = np.frombuffer(packed, "<u2", 2 * count, at).reshape(count, 2)
    strengths = np.frombuffer(packed, "<f2", count, at + 4 * count)
    raw = np.frombuffer(packed, np.int8, count * dim, at + 6 * count).reshape(count, dim)
    descriptors = raw.astype(np.float32)
    descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)
    return LocalParts(
        points.astype(np.float32) / np.float32(65_535),
        descriptors,
        strengths.astype(np.float32),
    )
