"""What a gallery is searched with: a vector and, where known, local features and pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.encoders import Encoder, LocalFeatures
from glocal.errors import ImageError, QueryError
from glocal.gallery.clock import Clock
from glocal.gallery.describing import content_id
from glocal.gallery.results import GalleryImage
from glocal.images import Limits, LoadedImage, load, read_bytes
from glocal.images.sources import read_stream

if TYPE_CHECKING:
    from glocal.images import ImageSource

Region = tuple[float, float, float, float]
"""X, Y, W, H of the upright image, in pixels, or as fractions when all are at most 1."""

REGION_SCALES = (0.55, 0.4)
"""Scales, besides 1, at which a query is compared with the images' regions."""

NEGATIVE_WEIGHT = 0.5
"""Weight of the mean negative example against the mean positive one (Rocchio 1971)."""


@runtime_checkable
class _Stream(Protocol):
    def read(self, size: int, /) -> object: ...


class _Read(bytes):
    """What was read of a stream, with its name."""

    name: str


def at_hand(source: GalleryImage | ImageSource, limits: Limits) -> GalleryImage | ImageSource:
    """An image that can be read more than once: a stream, which has its bytes once, is read.

    Raises:
        ImageError: the stream cannot be read, or is too long.
    """
    if not isinstance(source, _Stream):
        return source
    with naming(source):
        read = _Read(read_stream(source.read, limits))
    read.name = name_of(source)
    return read


@dataclass(frozen=True, slots=True, eq=False)
class Query:
    """A query, ready to be compared. Each stage of a search runs on what the query has.

    Attributes:
        vector: ``(d,)`` float32 of unit length; all that the first stage needs.
        space: the vector space that it belongs to; only vectors of one space are compared.
        features: local features of the query image, for geometric verification.
        size: width and height of the query image in pixels, for geometric verification.
        pixels: ``(h, w, 3)`` uint8 RGB upright; with them the query is verified at several sizes
            and copies are told by their pixels.
        identity: the id of the gallery's image with the same bytes, if there were to be one.
        name: what the query is called in results and errors.
        regions: ``(m, d)`` float32 of unit length, to be compared with the images' regions: the
            query at several sizes, `vector` first; `None` to search by the vector alone.
        scaled: local features that were found in making `regions`, by the scale of the query.
        old: ``(m, d_old)`` float32 of unit length: what the model that an upgrade is leaving makes
            of it, at the sizes of `regions`, where no bridge brings it into that model's space.
    """

    vector: NDArray[np.float32]
    space: str
    features: LocalFeatures | None = None
    size: tuple[int, int] | None = None
    pixels: NDArray[np.uint8] | None = None
    identity: UUID | None = None
    name: str = "<vector>"
    regions: NDArray[np.float32] | None = None
    scaled: Mapping[float, LocalFeatures] = field(default_factory=dict)
    old: NDArray[np.float32] | None = None

    @classmethod
    def of_vector(cls, vector: ArrayLike, *, space: str, dim: int) -> Query:
        """A query that is a vector alone.

        Args:
            vector: ``(dim,)`` numbers of any length but 0; brought to unit length.
            space: the vector space that it belongs to.
            dim: length of that space's vectors.

        Raises:
            QueryError: the vector has another shape, is zero, or is not finite.
        """
        try:
            row = np.asarray(vector, np.float32)
        except (TypeError, ValueError) as error:
            raise QueryError(f"the query vector is not an array of numbers: {error}") from error
        length = float(np.linalg.norm(row)) if row.shape == (dim,) else 0.0
        if not np.isfinite(length) or length < 1e-12:
            raise QueryError(
                f"the query vector has shape {row.shape} and length {length:g}; give {dim} finite "
                "numbers that are not all zero"
            )
        return cls(row / np.float32(length), space)


@dataclass(frozen=True, slots=True)
class QueryMaker:
    """Makes queries of images with a gallery's model.

    Args:
        encoder: the gallery's model.
        space: its vector space.
        limits: how large images may be.
        regions: whether its images have regions to be compared with.
        old: the model that an upgrade is leaving, where it encodes queries too.
    """

    encoder: Encoder
    space: str
    limits: Limits
    regions: bool = False
    old: Encoder | None = None

    def make(
        self,
        image: ImageSource | GalleryImage,
        *,
        region: Region | None = None,
        like: Sequence[ImageSource | GalleryImage] = (),
        unlike: Sequence[ImageSource | GalleryImage] = (),
        clock: Clock | None = None,
    ) -> Query:
        """Make a query of an image and, where given, further examples.

        The vector is the mean of the positive examples (the image and `like`), less half the mean
        of the negative ones (Rocchio, Relevance Feedback in Information Retrieval, 1971). Local
        features, pixels and identity are those of the image.

        Args:
            image: the query image.
            region: the part of the image to search for.
            like: more positive examples.
            unlike: negative examples.
            clock: measures the stages ``decode`` and ``encode``.

        Raises:
            ImageError: one of them cannot be used as an image.
            QueryError: the region lies outside the image.
        """
        clock = clock or Clock()
        with clock.measure("decode"):
            identity, first = self._decode(image, region)
            others = [self._decode(other, None)[1] for other in (*like, *unlike)]
        with clock.measure("encode"):
            arrays = [each.array for each in (first, *others)]
            features = self.encoder.encode(arrays)
            vector = combine(np.stack([each.vector for each in features]), 1 + len(like))
            regions: NDArray[np.float32] | None = None
            scaled = dict[float, LocalFeatures]()
            if self.regions:
                regions, scaled = self._at_scales(vector, arrays, 1 + len(like))
            old = None if self.old is None else self._by_old(self.old, arrays, 1 + len(like))
        return Query(
            vector,
            self.space,
            features[0].local,
            (first.array.shape[1], first.array.shape[0]),
            first.array,
            identity,
            name_of(image),
            regions,
            scaled,
            old,
        )

    def _by_old(
        self, encoder: Encoder, arrays: Sequence[NDArray[np.uint8]], positive: int
    ) -> NDArray[np.float32]:
        """What the old model makes of the query, and of the query at smaller scales."""
        return np.stack(
            [
                combine(np.stack([e.vector for e in encoder.encode(arrays, scale=scale)]), positive)
                for scale in ((1.0, *REGION_SCALES) if self.regions else (1.0,))
            ]
        )

    def _at_scales(
        self, vector: NDArray[np.float32], arrays: Sequence[NDArray[np.uint8]], positive: int
    ) -> tuple[NDArray[np.float32], dict[float, LocalFeatures]]:
        """What is compared with regions, and the first image's local features at other scales.

        An object that fills the query is small in a region's few cells, so the query is encoded
        again at smaller scales; see `QUERY_SCALES`. Several examples are combined at each scale.
        """
        vectors, scaled = [vector], dict[float, LocalFeatures]()
        for scale in REGION_SCALES:
            found = self.encoder.encode(arrays, scale=scale)
            vectors.append(combine(np.stack([each.vector for each in found]), positive))
            scaled[scale] = found[0].local
        return np.stack(vectors), scaled

    def _decode(
        self, source: ImageSource | GalleryImage, region: Region | None
    ) -> tuple[UUID | None, LoadedImage]:
        """The image, and the id that the gallery would give to its bytes, if it has any."""
        identity, name = None, None
        with naming(source):
            if isinstance(source, GalleryImage):
                source = source.path
            if isinstance(source, str | os.PathLike):
                name, source = source, read_bytes(source, self.limits)
            if isinstance(source, bytes | bytearray | memoryview) and region is None:
                identity = content_id(bytes(source))
            area = self.encoder.card.area
            return identity, load(
                source, min_pixels=area, region=region, limits=self.limits, name=name
            )


def combine(vectors: NDArray[np.float32], positive: int) -> NDArray[np.float32]:
    """One unit vector for several examples.

    Args:
        vectors: ``(n, d)`` of unit length; the query first.
        positive: how many of the first are positive examples; the rest are negative ones.

    Returns:
        ``(d,)`` float32. Where the examples cancel out it is the query's own vector.
    """
    towards: NDArray[np.float32] = vectors[:positive].mean(axis=0)
    if len(vectors) > positive:
        towards = towards - NEGATIVE_WEIGHT * vectors[positive:].mean(axis=0)
    length = np.linalg.norm(towards)
    if length < 1e-6:
        towards, length = vectors[0], np.linalg.norm(vectors[0])
    return np.asarray(towards / length, np.float32)


def name_of(image: ImageSource | GalleryImage) -> str:
    """What an image is called in results and errors: its path, a file's name, or its type."""
    if isinstance(image, GalleryImage):
        return str(image.path)
    if isinstance(image, str | os.PathLike):
        return os.fspath(image)
    named = getattr(image, "name", None)  # of a file object
    return named if isinstance(named, str) else f"<{type(image).__name__}>"


@contextmanager
def naming(image: ImageSource | GalleryImage) -> Iterator[None]:
    """Put the name of an image before the reason why it cannot be used."""
    try:
        yield
    except (ImageError, QueryError) as error:
        raise type(error)(f"{name_of(image)}: {error}") from error
