"""The values that pass between a gallery and its stores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

SEVERAL = 0
"""Stands among an image's folders, whose numbers begin at 1, when it has files in several."""


@dataclass(frozen=True, slots=True)
class Attributes:
    """What a search can be filtered by; one per image, `None` where the file does not say.

    Attributes:
        folders: numbers of every folder that holds a copy of the image, and of the folders above;
            `SEVERAL` too when the copies lie in more than one.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        bytes: size of the file.
        taken: seconds since 1970-01-01 of the camera's own clock, which knows no time zone.
        camera: make and model.
        place: latitude and longitude in degrees (WGS 84).
    """

    folders: tuple[int, ...]
    width: int
    height: int
    bytes: int
    taken: int | None = None
    camera: str | None = None
    place: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An image as a store keeps it.

    Attributes:
        id: names the image by its content.
        vector: ``(d,)`` float32 of unit length.
        attributes: what it can be filtered by.
    """

    id: UUID
    vector: NDArray[np.float32]
    attributes: Attributes


@dataclass(frozen=True, slots=True, eq=False)
class RegionRecord:
    """The regions of an image as a store keeps them.

    Attributes:
        id: names the image by its content.
        vectors: ``(r, d)`` float32, each row of unit length.
        boxes: ``(r, 4)`` float32: x, y, width and height as fractions of the upright image.
        attributes: what the image can be filtered by.
    """

    id: UUID
    vectors: NDArray[np.float32]
    boxes: NDArray[np.float32]
    attributes: Attributes


@dataclass(frozen=True, slots=True, eq=False)
class RegionSimilarities:
    """How similar the regions of images are to the vectors of a query.

    Attributes:
        rows: the row of each image in the arrays.
        values: ``(n, m, r)`` float32: the cosine similarity of each query vector to each region.
        boxes: ``(n, r, 4)`` float32: x, y, width and height as fractions of the upright image.
    """

    rows: dict[UUID, int]
    values: NDArray[np.float32]
    boxes: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Match:
    """One answer of a store: an image and its cosine similarity to the query, in [-1, 1]."""

    id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """How a store is doing.

    Attributes:
        vectors: how many it holds.
        in_graph: how many of them the HNSW graph covers; the others are scanned exactly.
        building: whether a new graph is being built right now.
        build_error: why the last build failed, or `None`.
    """

    vectors: int
    in_graph: int
    building: bool = False
    build_error: str | None = None


def stack(vectors: Sequence[NDArray[np.float32]], dim: int) -> NDArray[np.float32]:
    """Put ``n`` vectors into one ``(n, dim)`` float32 array, also when ``n`` is 0."""
    return np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, dim), np.float32)
