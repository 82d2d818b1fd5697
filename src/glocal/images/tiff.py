"""TIFF, which may hold nearly anything: what cannot be read is told before it is tried."""

from __future__ import annotations

import io
from typing import Any

from glocal.errors import ImageError

_COMPRESSIONS = {
    32809: "ThunderScan", 32908: "PixarFilm", 33003: "JPEG 2000", 33005: "JPEG 2000",
    34661: "JBIG", 34676: "SGI LogL", 34677: "SGI LogL24", 34712: "JPEG 2000", 34887: "LERC",
    34892: "lossy JPEG of a DNG", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL",
}  # fmt: skip
_NOT_BUILT_IN = frozenset((32809, 34676, 34677, 50001))  # that Pillow knows by name only
_BITS, _COMPRESSION, _SAMPLES, _FORMAT = 258, 259, 277, 339
_FLOAT = 3


def refuse_unsupported(data: bytes) -> None:
    """Refuse a TIFF that may be sound, but holds what Pillow does not read.

    Pillow would call it damaged, and libtiff write a line of its own to standard error.

    Raises:
        ImageError: Of such a file, by its first directory.
    """
    from PIL.TiffImagePlugin import COMPRESSION_INFO

    tags = _first_directory(data)
    code = _number(tags, _COMPRESSION, 1)
    if code not in COMPRESSION_INFO or code in _NOT_BUILT_IN:
        name = _COMPRESSIONS.get(code, f"number {code}")
        raise ImageError(f"unsupported: this TIFF is compressed as {name}; convert it")
    samples, bits = _number(tags, _SAMPLES, 1), _number(tags, _BITS, 1)
    if _number(tags, _FORMAT, 1) == _FLOAT and (samples, bits) != (1, 32):
        raise ImageError(
            f"unsupported: this TIFF has {samples} float samples of {bits} bits; "
            "convert it to samples of 16 bits"
        )


def _first_directory(data: bytes) -> dict[int, Any]:
    """The tags of the first image; none where it cannot be read, which its decoder will say."""
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    try:
        big = data[2:4] in (b"+\x00", b"\x00+")
        directory = ImageFileDirectory_v2(data[: 16 if big else 8])
        file = io.BytesIO(data)
        file.seek(directory.next)
        directory.load(file)
        wanted = (_BITS, _COMPRESSION, _SAMPLES, _FORMAT)
        return {tag: directory[tag] for tag in wanted if tag in directory}
    except Exception:  # noqa: BLE001 - a broken directory breaks Pillow in every possible way
        return {}


def _number(tags: dict[int, Any], tag: int, usual: int) -> int:
    value = tags.get(tag, usual)
    value = value[0] if isinstance(value, tuple) and value else value
    return value if isinstance(value, int) else usual
