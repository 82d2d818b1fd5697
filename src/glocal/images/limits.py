"""Limits on the size of images that glocal opens."""

from __future__ import annotations

from dataclasses import dataclass

from glocal.errors import ImageError, QueryError

_USUAL = 9.0  # bytes that decoding takes for a pixel: PNG with transparency
_NEGLIGIBLE = 256e6


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an image may be; both limits are checked before it is decoded.

    A few kilobytes of PNG or WebP can claim billions of pixels, and a folder of photos can hold a
    disk image named ``.tif``. The defaults allow everything that cameras make today and refuse
    what would exhaust the memory of a laptop.

    Attributes:
        max_bytes: Largest encoded size. 256 MiB is an uncompressed 16-bit TIFF of 45 megapixels,
            and about ten times the largest JPEG of a medium-format camera.
        max_pixels: Largest width times height. 120 million is above the 102 megapixels of
            medium-format cameras. Decoding may take 9 bytes for each of them, 1.1 GB, so that
            formats whose decoders take more are refused at fewer pixels.
    """

    max_bytes: int = 256 * 2**20
    max_pixels: int = 120_000_000

    def __post_init__(self) -> None:
        """Refuse limits that nothing could keep.

        Raises:
            QueryError: One is no whole number, or less than 1.
        """
        for name, value in (("max_bytes", self.max_bytes), ("max_pixels", self.max_pixels)):
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise QueryError(f"{name} is {value!r:.60}; give a whole number of at least 1")

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse an image by the size that its header states.

        Raises:
            ImageError: It has no pixels, or more than ``max_pixels``.
        """
        if width < 1 or height < 1:
            raise ImageError(f"it has no pixels: the header states {width} x {height}")
        if width * height > self.max_pixels:
            raise ImageError(
                f"too large: {width} x {height} is {width * height / 1e6:,.0f} million pixels and "
                f"the limit is {self.max_pixels / 1e6:,.0f} million; raise it with --max-pixels"
            )

    def check_memory(self, width: int, height: int, bytes_per_pixel: float) -> None:
        """Refuse an image by the memory that its format's decoder would take.

        Raises:
            ImageError: It is more than for an image of ``max_pixels`` of the usual formats.
        """
        needed = width * height * bytes_per_pixel
        allowed = max(self.max_pixels * _USUAL, _NEGLIGIBLE)
        if needed > allowed:
            raise ImageError(
                f"too large: decoding {width} x {height} in this format takes "
                f"{needed / 1e6:,.0f} MB and the limit is {allowed / 1e6:,.0f} MB; "
                "raise it with --max-pixels"
            )

    def check_bytes(self, size: int) -> None:
        """Refuse a file by its size.

        Raises:
            ImageError: It is empty, or larger than ``max_bytes``.
        """
        if size == 0:
            raise ImageError("empty file (0 bytes)")
        if size > self.max_bytes:
            raise ImageError(
                f"too large: it has {size / 2**20:,.1f} MiB and the limit is "
                f"{self.max_bytes / 2**20:,.1f} MiB; raise it with --max-bytes"
            )
