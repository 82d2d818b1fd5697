"""The files of a gallery's images, read again to compare their pixels and what else they hold.

What is read is hashed on the way, so that no image is compared by the pixels of another one that
has meanwhile taken its name.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.describing import content_id, unchanged
from glocal.gallery.holdings import Held, Holding, companions
from glocal.gallery.same_files import Disk
from glocal.gallery.traits import LOSSLESS, Traits, traits_of
from glocal.images import Limits, load, read_bytes
from glocal.images.color import to_srgb
from glocal.images.formats import detect, open_header
from glocal.images.quiet import decoder_warnings_ignored

PIXELS = 1_500_000
"""Pixels at which images are compared; those of smaller images all are."""

WHOLE = 48_000_000
"""Pixels at which copies are compared at most; larger images are decoded smaller."""

_KEPT_WHOLE = 2  # of their arrays stay in memory: 144 MB each at most
_KEPT = 24  # of their arrays stay in memory: 4.5 MB each


Fact = tuple[UUID, str]
"""An image, and what about it: it follows from the bytes, of this image or of one other too."""


class Originals:
    """Reads files of a gallery, once each as far as possible.

    Args:
        catalog: the gallery's.
        disk: told what was read.
        limits: of what is read.
        known: facts of earlier runs, as `learned` has them.

    Attributes:
        read: how many files were decoded.
        learned: facts that were not known before; JSON can hold their values.
    """

    def __init__(
        self, catalog: Catalog, disk: Disk, limits: Limits, known: Mapping[Fact, Any] | None = None
    ) -> None:
        self._catalog = catalog
        self._disk = disk
        self._limits = limits
        self._arrays: OrderedDict[UUID, NDArray[np.uint8] | None] = OrderedDict()
        self._whole: OrderedDict[UUID, NDArray[np.uint8]] = OrderedDict()
        self._traits: dict[UUID, Traits | None] = {}
        self._known = {} if known is None else known
        self.read = 0
        self.learned: dict[Fact, Any] = {}

    def pixels(self, content: UUID) -> NDArray[np.uint8] | None:
        """``(h, w, 3)`` uint8 RGB of about `PIXELS` at most; `None` if no file holds it now."""
        if content in self._arrays:
            self._arrays.move_to_end(content)
            return self._arrays[content]
        array = None
        for path in self._paths(content):
            array = self._decoded(path, content)
            if array is not None:
                break
        self._arrays[content] = array
        if len(self._arrays) > _KEPT:
            self._arrays.popitem(last=False)
        return array

    def whole(self, content: Content) -> NDArray[np.uint8] | None:
        """``(h, w, 3)`` uint8 RGB at full size; of more than `WHOLE` pixels a part of it.

        `None` if no file holds it now. The last few are kept.
        """
        if content.id in self._whole:
            self._whole.move_to_end(content.id)
            return self._whole[content.id]
        least = None if content.width * content.height <= WHOLE else WHOLE // 4
        for path, data in unchanged(self._paths(content.id), content.id, self._limits):
            try:
                array = load(data, min_pixels=least, limits=self._limits, name=path).array
            except (ImageError, OSError):
                continue
            self._whole[content.id] = array
            if len(self._whole) > _KEPT_WHOLE:
                self._whole.popitem(last=False)
            return array
        return None

    def traits(self, content: UUID) -> Traits | None:
        """What speaks for a file; `None` if no file holds the content any more."""
        if content not in self._traits:
            known = self._known_traits(content)
            if known is None:
                self.pixels(content)
            else:
                self._traits[content] = known
        return self._traits.get(content)

    def _known_traits(self, content: UUID) -> Traits | None:
        """Traits of an earlier run, if a file still holds what they were read from."""
        paths = self._paths(content)
        for path in paths:
            said = self._known.get((content, _about_traits(path)))
            if said is not None and self._disk.still_holds(path, content):
                holds = Held(Holding(said["held"]["kind"]), said["held"]["count"])
                films = any(companions(each) for each in paths)
                lists = {name: frozenset(said[name]) for name in ("notes", "details")}
                return Traits(**said | lists | {"held": holds, "films": films})
        return None

    def shows_detail(self, content: Content, beyond: float) -> bool | None:
        """Whether an image has detail that it could not have if it had been enlarged.

        Args:
            content: the image.
            beyond: by how much it would have been enlarged, above 1.

        Returns:
            `None` where that cannot be told.
        """

        def detail() -> bool | None:
            data = self._bytes(content.id)
            if data is None:
                raise _UnreadError
            return has_detail(load(data, limits=self._limits).array, beyond)

        return self._fact(content.id, f"detail beyond {beyond:.6f}", detail)

    def was_first(self, one: UUID, other: UUID) -> bool | None:
        """Whether the first of two copies of one size was there before the other.

        A lossless file with the pixels of a lossy one was made from it. A JPEG that was made from
        another image is what that image becomes when it is saved with the JPEG's own tables; the
        other way round nothing fits.

        Returns:
            `None` where that cannot be seen.
        """
        return self._fact(one, f"before {other.hex}", lambda: self._was_first(one, other))

    def _was_first(self, one: UUID, other: UUID) -> bool | None:
        data, others = self._bytes(one), self._bytes(other)
        if data is None or others is None:
            raise _UnreadError
        lossy = detect(data) not in LOSSLESS
        if lossy != (detect(others) not in LOSSLESS) and _same_pixels(data, others):
            return lossy  # no loss could have brought out these very pixels
        apart = made_from(others, data), made_from(data, others)
        # A lossless file can be made from anything; a JPEG has to fit.
        second, first = (9.0 if found is None else found for found in apart)
        low, high = sorted((first, second))
        if (low < _EXACT and high > 2 * _EXACT) or (low < _FITS and high > 2 * low + 0.3):
            return second < first
        return None

    def _fact(self, image: UUID, about: str, find: Callable[[], bool | None]) -> bool | None:
        """Something that follows from bytes alone; `None`, too, if they cannot be read now."""
        for facts in (self._known, self.learned):
            if (image, about) in facts:
                said: bool | None = facts[image, about]
                return said
        try:
            found = self.learned[image, about] = find()
        except (ImageError, _UnreadError):
            return None
        return found

    def _paths(self, content: UUID) -> list[Path]:
        return [path for _, path in self._catalog.files_of([content]).get(content, [])]

    def _bytes(self, content: UUID) -> bytes | None:
        found = unchanged(self._paths(content), content, self._limits)
        return next((data for _, data in found), None)

    def _decoded(self, path: Path, content: UUID) -> NDArray[np.uint8] | None:
        try:
            data = read_bytes(path, self._limits)
            found = content_id(data)
            self._disk.note(path, found)
            if found != content:
                return None
            array = load(data, min_pixels=PIXELS, limits=self._limits, name=path).array
        except (ImageError, OSError):
            return None
        self.read += 1
        array = no_larger(array)
        if content not in self._traits:
            traits = self._traits[content] = traits_of(data, path, array, self._paths(content))
            lists = {"notes": sorted(traits.notes), "details": sorted(traits.details)}
            self.learned[content, _about_traits(path)] = asdict(traits) | lists
        return array


class _UnreadError(Exception):
    """No file holds the bytes any more, or none can be read."""


def _about_traits(path: Path) -> str:
    return f"traits of a {path.suffix.casefold()} file"  # raw data is known by its name


def _same_pixels(first: bytes, second: bytes) -> bool:
    try:
        one, two = (load(data).array for data in (first, second))
    except ImageError:
        return False
    return one.shape == two.shape and float(np.abs(one.astype(int) - two).mean()) < _EXACT


def made_from(made: bytes, source: bytes) -> float | None:
    """How far a JPEG is from what another image becomes when it is saved with that JPEG's tables.

    Args:
        made: a JPEG.
        source: an image of any format, of the same size.

    Returns:
        Levels of 255, root mean square of the brightness; `None` where it cannot be tried.
    """
    from PIL import Image, JpegImagePlugin

    if detect(made) != "JPEG" or (name := detect(source)) is None:
        return None
    try:
        with decoder_warnings_ignored():
            with JpegImagePlugin.JpegImageFile(io.BytesIO(made)) as opened:
                tables = opened.quantization
                sampling = JpegImagePlugin.get_sampling(opened)
                mode = opened.mode
                target = np.asarray(opened.convert("L"), np.float32)
            with open_header(source, name) as opened:
                if opened.size[::-1] != target.shape or mode not in ("L", "RGB"):
                    return None
                written = io.BytesIO()
                options = {"subsampling": sampling} if mode == "RGB" and sampling >= 0 else {}
                flat = Image.fromarray(to_srgb(opened)).convert(mode)  # over white, as usual
                flat.save(written, "JPEG", qtables=tables, **options)
            with Image.open(written, formats=("JPEG",)) as opened:
                again = np.asarray(opened.convert("L"), np.float32)
    except (ImageError, OSError, ValueError, SyntaxError, RuntimeError):
        return None
    return float(np.sqrt(np.mean((target - again) ** 2)))


def has_detail(array: NDArray[np.uint8], beyond: float) -> bool | None:
    """Whether pixels have detail finer than those of an image ``beyond`` times smaller could give.

    Args:
        array: ``(h, w, 3)`` uint8 at full size; its middle is looked at.
        beyond: above 1.

    Returns:
        `None` where it has too little detail of any size, or something between.
    """
    from PIL import Image

    height, width = array.shape[:2]
    top, left = max(0, (height - 1024) // 2), max(0, (width - 1024) // 2)
    image = Image.fromarray(array[top : top + 1024, left : left + 1024]).convert("L")
    ratios = []
    values = np.asarray(image, np.float32)
    for factor in (beyond, 2 * beyond):
        size = max(8, round(image.width / factor)), max(8, round(image.height / factor))
        small = image.resize(size, Image.Resampling.LANCZOS)
        again = np.asarray(small.resize(image.size, Image.Resampling.BICUBIC), np.float32)
        ratios.append(float(np.sqrt(np.mean((values - again) ** 2))))
    fine, coarse = ratios
    if coarse < 1.5:
        return None
    ratio = fine / coarse
    if beyond < _LEAST_BEYOND:
        return None
    return True if ratio > _FINE else False if ratio < _ENLARGED else None


_FINE, _ENLARGED = 0.36, 0.3
_LEAST_BEYOND = 1.25  # below which nothing tells an enlargement from the real thing
_EXACT = 0.05  # levels within which the same encoder made it
_FITS = 1.2  # levels within which a JPEG is what its source became


def no_larger(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pillow's and JPEG's own scales are coarse: what is still far larger is resampled."""
    from PIL import Image

    pixels = array.shape[0] * array.shape[1]
    if pixels <= 1.3 * PIXELS:
        return array
    scale = (PIXELS / pixels) ** 0.5
    size = max(1, round(array.shape[1] * scale)), max(1, round(array.shape[0] * scale))
    return np.asarray(Image.fromarray(array).resize(size, Image.Resampling.LANCZOS))
