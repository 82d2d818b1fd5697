"""Local features as the gallery keeps them: 6 bytes for each, and one byte for each dimension.

Where that would be too much, as for the 400 of the default model, and in compact galleries, which
keep fewer, it is a byte for every four dimensions: product codes (Jégou, Douze and Schmid,
"Product Quantization for Nearest Neighbor Search", 2011), the nearest of 256 means for each piece
of a descriptor. The means are part of this format, and never change. Descriptors that have another
length, or that codes tell badly, are kept with 4 bits for each dimension.

Behind them may stand a small grey image, see `glocal.gallery.small_images`.
"""

from __future__ import annotations

import struct
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.errors import GalleryDamagedError

MOST_BYTES = 16 * 1024
"""Of what is kept of an image; a small image that would make it more is left out."""

MOST_LOCAL_BYTES = 9 * 1024
"""Of local features alone where there are too many, so that a small image has room behind them."""

FEW = 128
"""Local features of a model's own that are enough where many images are compared with many: for
duplicates and small objects, and in a compact gallery (docs/decisions.md)."""

_HEADER = struct.Struct("<BHH")  # version, local features, dimensions
_BITS = {1: 8, 2: 8, 3: 4, 4: 2}  # of a dimension, by version; from the second an image may follow
_CODES = 4  # the version of product codes
_BOOK = Path(__file__).parent / "books" / "product-48.npy"  # scripts/default_model/fit_codebook.py
_AGREEMENT = 0.94  # mean cosine of descriptors and what their codes say; the default model's: .955

Form = Literal["either", "bytes", "nibbles", "codes"]
"""How descriptors are kept. ``bytes``: 8 bits a number in parts of 1. ``codes``: product codes, 2
bits a number, where these agree well enough, and nibbles otherwise. ``nibbles``: 4 bits in parts of
the greatest of each descriptor. ``either``: as codes where all as bytes would take more than
`MOST_BYTES`, and otherwise as bytes."""


def pack(local: LocalFeatures, small: bytes = b"", *, form: Form = "either") -> bytes:
    """Keypoints as 16-bit fractions, scores as float16, descriptors in one of three forms.

    Args:
        local: the local features of an image, the best first; of too many the first are kept.
        small: the image itself, small and grey, as JPEG.
        form: of the descriptors.
    """
    dim = local.descriptors.shape[1]
    most, too_many = FEW, len(local) > _room(dim, 8, MOST_BYTES)
    if form == "either":
        form, most = ("codes", _room(dim, 2, MOST_LOCAL_BYTES)) if too_many else ("bytes", 0)
    codes = _in_codes(local.descriptors[:most]) if form == "codes" else None
    if codes is not None:
        version, descriptors, local = _CODES, codes, best_of(local, most)
    elif form == "bytes":
        version = 2
        local = best_of(local, _room(dim, 8, MOST_LOCAL_BYTES)) if too_many else local
        descriptors = np.rint(np.clip(local.descriptors, -1, 1) * 127).astype(np.int8).view("u1")
    else:
        version, local = 3, best_of(local, _room(dim, 4, MOST_LOCAL_BYTES))
        descriptors = _in_nibbles(local.descriptors)
    points = np.rint(np.clip(local.keypoints, 0, 1) * 65_535).astype("<u2")
    packed = b"".join(
        (
            _HEADER.pack(version, len(local), dim),
            points.tobytes(),
            local.scores.astype("<f2").tobytes(),
            descriptors.tobytes(),
        )
    )
    return packed + small if len(packed) + len(small) <= MOST_BYTES else packed


def _room(dim: int, bits: int, size: int) -> int:
    """How many local features have room whose descriptors are kept so."""
    return (size - _HEADER.size) // (6 + _row_bytes(dim, bits))


def best_of(local: LocalFeatures, count: int) -> LocalFeatures:
    """So many of them at most: the first, which are the best."""
    return LocalFeatures(local.keypoints[:count], local.descriptors[:count], local.scores[:count])


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
    if bits == 8:
        descriptors = raw.view(np.int8).astype(np.float32)
    else:
        descriptors = _of_nibbles(raw, dim) if bits == 4 else _of_codes(raw)
    descriptors /= np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)
    return LocalFeatures(
        points.astype(np.float32) / np.float32(65_535),
        descriptors,
        scores.astype(np.float32),
    )


def unpack_few(packed: bytes) -> LocalFeatures:
    """As `unpack`, but only `FEW` of those that are kept as codes, which are a model's own."""
    local = unpack(packed)
    return best_of(local, FEW) if packed[0] == _CODES else local


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
        known = bits and (version != _CODES or dim == _book().shape[0] * _book().shape[2])
        if known and (len(packed) == end or (version > 1 and len(packed) > end)):
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


@cache
def _book() -> NDArray[np.float32]:
    """The means, ``(pieces, 256, dimensions of a piece)``."""
    try:
        return np.asarray(np.load(_BOOK), np.float32)
    except (EOFError, OSError, ValueError) as error:
        raise GalleryDamagedError(
            f"the codebook {_BOOK} cannot be read: {error}; install glocal again"
        ) from error


def _in_codes(descriptors: NDArray[np.float32]) -> NDArray[np.uint8] | None:
    """The nearest mean of each piece, ``(n, pieces)``; nothing if they say too little."""
    book = _book()
    pieces, _, wide = book.shape
    if descriptors.shape[1] != pieces * wide:
        return None
    given = descriptors.reshape(-1, pieces, wide).transpose(1, 0, 2)
    nearness = given @ book.transpose(0, 2, 1) - (book**2).sum(axis=2)[:, None] / 2
    codes = np.ascontiguousarray(nearness.argmax(axis=2).T.astype(np.uint8))
    said = _of_codes(codes)
    lengths = np.linalg.norm(descriptors, axis=1)
    if (lengths < 0.5).any():  # a code cannot say nothing
        return None
    cosines = (said * descriptors).sum(axis=1) / (lengths * np.linalg.norm(said, axis=1))
    return codes if cosines.size == 0 or float(cosines.mean()) >= _AGREEMENT else None


def _of_codes(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The reverse, but for the length of each row, ``(n, e)``."""
    pieces, means, wide = _book().shape
    at = codes + np.arange(0, pieces * means, means)
    return _book().reshape(-1, wide).take(at, axis=0).reshape(len(codes), pieces * wide)
