"""Decode any image to upright RGB, no larger than the caller needs it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from glocal.errors import GlocalError, ImageError, QueryError
from glocal.images.arrays import array_to_rgb, check_array
from glocal.images.color import to_srgb
from glocal.images.facts import Facts, read_facts, read_orientation
from glocal.images.faults import as_image_error
from glocal.images.formats import detect, is_raw_name, open_header
from glocal.images.frames import choose_frame
from glocal.images.jpeg import decode_scaled
from glocal.images.jpeg2000 import reduce_jpeg2000
from glocal.images.limits import Limits
from glocal.images.memory import bytes_per_pixel
from glocal.images.quiet import decoder_warnings_ignored
from glocal.images.raw import embedded_preview, is_raw_tiff
from glocal.images.region import Region, pixel_box
from glocal.images.sources import read_bytes, read_stream
from glocal.images.truncated import rescue

if TYPE_CHECKING:
    from typing import TypeAlias

    from PIL import Image

    ImageSource: TypeAlias = (
        str
        | os.PathLike[str]
        | bytes
        | bytearray
        | memoryview
        | BinaryIO
        | Image.Image
        | NDArray[Any]
    )

_DEFAULT_LIMITS = Limits()

# Decoding threads each hold one image. That is small change with photos, which are decoded
# scaled, but four TIFF scans of 100 megapixels at once are gigabytes: large ones take turns.
_HUGE_PIXELS = 16_000_000
_huge_decode = threading.Lock()


@dataclass(frozen=True, slots=True, eq=False)
class LoadedImage:
    """A decoded image.

    Attributes:
        array: ``(h, w, 3)`` uint8 sRGB, upright. It may be smaller than the size in the facts, and
            has only the region if one was given.
        facts: Facts about the whole image.
        share: Of its rows, the share that the file still has; 1 unless it was cut off.
    """

    array: NDArray[np.uint8]
    facts: Facts
    share: float = 1.0


def load(
    source: ImageSource,
    *,
    min_side: int | None = None,
    min_pixels: int | None = None,
    region: Region | None = None,
    limits: Limits = _DEFAULT_LIMITS,
    name: str | os.PathLike[str] | None = None,
) -> LoadedImage:
    """Decode any image to upright RGB.

    What is missing of a JPEG or PNG that was cut off is one colour; most of it has to be there.

    Args:
        source: A path, encoded bytes, a binary stream, a PIL image, or an array: ``(h, w)`` or
            ``(h, w, 1 | 3 | 4)`` of uint8, uint16, or float from 0 to 1, taken as upright sRGB.
        min_side: Least length in pixels of the shorter side that is returned, which saves most of
            the time and memory that a large photo takes; None decodes all pixels. Images are
            never enlarged.
        min_pixels: Least width times height that is returned, in place of ``min_side``.
        region: X, Y, W, H in the upright image: fractions if all four are at most 1, else
            pixels. Only this region is returned, and ``min_side`` and ``min_pixels`` apply to it.
        limits: Size above which an image is refused.
        name: Name of the file that bytes were read from. Only some camera RAW needs it, which
            cannot be told from TIFF by its content.

    Returns:
        The image; ``facts`` describe the whole image at full size. The text of an error is the
        reason alone, for lists of ``file: reason``; the path is a note on the exception.

    Raises:
        ImageMissingError: There is no file at that path.
        ImageError: glocal cannot decode it.
        QueryError: The region lies outside the image, ``min_side`` or ``min_pixels`` is below 1, or
            both are given.

    Examples:
        >>> from glocal.images import load
        >>> image = load("query.jpg")
        >>> image.array.shape, image.array.dtype
        ((480, 640, 3), dtype('uint8'))
        >>> load("query.jpg", min_side=100).array.shape
        (120, 160, 3)
        >>> load("query.jpg", region=(0.25, 0.25, 0.5, 0.5)).array.shape
        (240, 320, 3)
    """
    if min_side is not None and min_pixels is not None:
        raise QueryError("pass min_side or min_pixels, not both")
    for name_of, least in (("min_side", min_side), ("min_pixels", min_pixels)):
        if least is not None and least < 1:
            raise QueryError(f"{name_of} must be at least 1 pixel, not {least}")
    wanted = _Wanted(min_side, min_pixels, region, limits)
    if isinstance(source, np.ndarray):
        return _load_array(source, wanted)
    if isinstance(source, (bytes, bytearray, memoryview)):
        data = bytes(source)
        limits.check_bytes(len(data))
        return _load_bytes(data, wanted, raw_name=name is not None and is_raw_name(name))
    if isinstance(source, (str, os.PathLike)):
        data = read_bytes(source, limits)
        try:
            return _load_bytes(data, wanted, raw_name=is_raw_name(source))
        except ImageError as error:
            error.add_note(f"image: {os.fsdecode(source)}")
            raise
    if callable(read := getattr(source, "read", None)):
        return _load_bytes(read_stream(read, limits), wanted)
    return _load_image(source, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The arguments of a call of ``load``."""

    min_side: int | None
    min_pixels: int | None
    region: Region | None
    limits: Limits

    def scale(self, width: int, height: int) -> float:
        """The smallest scale, at most 1, that keeps enough of an upright image's region."""
        box = pixel_box(self.region, width, height)
        if self.min_side is not None:
            return min(1.0, self.min_side / box.shorter)
        if self.min_pixels is not None:
            return min(1.0, sqrt(self.min_pixels / box.area))
        return 1.0

    def cut(
        self, stored: NDArray[np.uint8], orientation: int, width: int, height: int
    ) -> NDArray[np.uint8]:
        """Turn decoded pixels upright and crop the region.

        Args:
            stored: ``(h, w, 1 | 3)`` as the file has it, at any scale.
            orientation: EXIF, 1 to 8.
            width, height: of the upright image at full size.
        """
        upright = _upright(stored, orientation)
        to_height, to_width = upright.shape[:2]
        if self.region is not None:
            box = pixel_box(self.region, width, height).scaled(width, height, to_width, to_height)
            upright = upright[box.top : box.bottom, box.left : box.right]
        if upright.shape[2] == 1:
            return np.repeat(upright, 3, axis=2)
        # A view would keep the whole alive, and Pillow's memory is read-only.
        return np.require(upright, requirements=["C", "W", "O"])


def _load_array(array: NDArray[Any], wanted: _Wanted) -> LoadedImage:
    height, width = check_array(array)
    wanted.limits.check_pixels(width, height)
    facts = Facts(width=width, height=height, format="array", bytes=None)
    rgb = wanted.cut(array_to_rgb(array), 1, width, height)
    return LoadedImage(rgb.copy() if np.may_share_memory(rgb, array) else rgb, facts)


def _load_image(image: object, wanted: _Wanted) -> LoadedImage:
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise ImageError(
            f"a {type(image).__name__} isn't an image; pass a path, bytes, a binary stream, "
            "a PIL image or a NumPy array"
        )
    name = image.format or "image"
    with _decoder_faults(name):
        return _decode_pillow(image, name, None, wanted)


def _load_bytes(data: bytes, wanted: _Wanted, *, raw_name: bool = False) -> LoadedImage:
    name = detect(data)
    if name is None:
        raise ImageError(
            "unsupported format; use JPEG, PNG, WebP, AVIF, HEIC, JPEG XL, "
            "JPEG 2000, GIF, TIFF, BMP, PPM or camera RAW"
        )
    if name == "RAW" or (name == "TIFF" and (raw_name or is_raw_tiff(data))):
        with _decoder_faults("RAW"):
            return _load_raw(data, wanted)
    with _decoder_faults(name):
        image = open_header(data, name)
        if name == "JPEG":
            return _decode_jpeg(data, image, wanted)
        return _decode_pillow(image, name, len(data), wanted)


def _load_raw(data: bytes, wanted: _Wanted) -> LoadedImage:
    preview, orientation = embedded_preview(data)
    image = _decode_jpeg(preview, open_header(preview, "JPEG"), wanted, orientation=orientation)
    return replace(image, facts=replace(image.facts, format="RAW", bytes=len(data)))


def _decode_jpeg(
    data: bytes, image: Image.Image, wanted: _Wanted, *, orientation: int | None = None
) -> LoadedImage:
    wanted.limits.check_pixels(*image.size)
    orientation = read_orientation(image) if orientation is None else orientation
    width, height = image.size if orientation < 5 else image.size[::-1]
    facts = read_facts(image, width, height, "JPEG", len(data))
    scale = wanted.scale(width, height)
    least = (_ceil(image.width * scale), _ceil(image.height * scale))
    # A progressive image is held whole as coefficients, however small it is decoded.
    pixels = image.width * image.height if "progressive" in image.info else least[0] * least[1]
    with _one_at_a_time(pixels):
        array, share = decode_scaled(data, image, least)
        return LoadedImage(wanted.cut(array, orientation, width, height), facts, share)


def _decode_pillow(image: Image.Image, name: str, size: int | None, wanted: _Wanted) -> LoadedImage:
    wanted.limits.check_pixels(*image.size)
    wanted.limits.check_memory(*image.size, bytes_per_pixel(image, name))
    whole = image.size
    with _one_at_a_time(image.width * image.height):
        if name == "JPEG2000":
            reduce_jpeg2000(image, wanted.scale(*image.size))
        # Loading comes first: TIFF is turned upright by it, PNG may keep its EXIF at the end.
        share = _load(image, name)
        choose_frame(image, name)
        wanted.limits.check_pixels(*image.size)
        # A JPEG XL is upright already, whatever its EXIF says.
        orientation = read_orientation(image) if name != "JXL" else 1
        at_full_size = whole if name == "JPEG2000" else image.size
        width, height = at_full_size if orientation < 5 else at_full_size[::-1]
        facts = read_facts(image, width, height, name, size)
        reduced = at_full_size[0] / image.width
        array = to_srgb(image, factor=max(1, int(1 / reduced / wanted.scale(width, height) + 1e-9)))
        return LoadedImage(wanted.cut(array, orientation, width, height), facts, share)


def _load(image: Image.Image, name: str) -> float:
    """Decode with Pillow; the share of the rows that are there."""
    try:
        image.load()
    except OSError as error:
        share = rescue(image, name, error)
        if share is None:
            raise
        return share
    return 1.0


def _upright(stored: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation, as a view: 5 to 8 are mirrored on the diagonal first."""
    array = stored.swapaxes(0, 1) if orientation >= 5 else stored
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return array


def _ceil(value: float) -> int:
    return max(1, -int(-value // 1))


@contextmanager
def _one_at_a_time(pixels: int) -> Iterator[None]:
    if pixels <= _HUGE_PIXELS:
        yield
        return
    with _huge_decode:
        yield


@contextmanager
def _decoder_faults(name: str) -> Iterator[None]:
    """Convert whatever a decoder raises on a hostile or broken file to an ImageError."""
    with decoder_warnings_ignored():
        try:
            yield
        except GlocalError:
            raise
        except Exception as error:
            raise as_image_error(error, name) from error
