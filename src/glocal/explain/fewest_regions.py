"""Which few regions of an image carry its similarity to something, chosen one after the other.

Source: Chen, Zhang, Liang, Li and Cao, Less is More: Fewer Interpretable Region via Submodular
Subset Selection, 2024 (SMDL-Attribution).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

EFFECTIVENESS = 0.0
"""Weight of how different the chosen regions are from each other."""

MOST_REGIONS = 400
"""Regions of one image: a choice encodes about as many images as their square."""

_BLOCK = 16

Pixels = NDArray[np.uint8]
Encode = Callable[[Pixels], ArrayLike]
"""From images ``(b, h, w, 3)`` uint8 to their vectors ``(b, d)``."""


@dataclass(frozen=True, slots=True)
class FewestRegions:
    """The regions that were chosen, in the order of the choice.

    Attributes:
        score: Cosine of the whole image with the target.
        regions: Numbers of the chosen regions.
        kept: Cosine of the image with only the first k chosen regions, for k from 1 on.
        removed: Cosine of the image without the first k chosen regions.
    """

    score: float
    regions: tuple[int, ...]
    kept: tuple[float, ...]
    removed: tuple[float, ...]


def choose_regions(
    image: Pixels,
    regions: NDArray[np.integer],
    target: ArrayLike,
    encode: Encode,
    *,
    most: int | None = None,
    enough: float | None = None,
    effectiveness: float = EFFECTIVENESS,
) -> FewestRegions:
    """Choose the regions that make an image similar to a target, each the best beside the others.

    With V all regions, ``x_S`` the image of which only the regions S are left, ``f`` the vector of
    an image and t the target, the region that is chosen next is the one that makes most of

    ``F(S) = cos(f(x_S), t) + 1 - cos(f(x_(V - S)), t) + w sum_i min_j (1 - cos(f(x_i), f(x_j)))``

    with i and j different regions of S: the chosen regions are like the target (the paper's
    consistency), what is left is not (collaboration), and they are unlike each other
    (effectiveness). Choosing greedily is within 1 - 1/e of the best set wherever F is submodular.

    Source: Chen, Zhang, Liang, Li and Cao, Less is More: Fewer Interpretable Region via Submodular
    Subset Selection, 2024.

    Deviations: a search has no classes, so the target is a vector, such as a hit's, and the paper's
    confidence of an evidential classifier is left out; effectiveness has a weight of 0 unless one
    is given, since a sum of distances grows with S beside two cosines that do not, and made the
    choices worse where it was tried; covered regions have the image's mean colour, where the paper
    has black; regions are those of a grid or any others that are given, where the paper sorts
    the cells of a grid by a saliency map and takes several of them together.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        regions: ``(h, w)`` whole numbers, which region each pixel belongs to: 0 to n - 1, such as
            `grid_regions` gives them.
        target: ``(d,)``, not all 0.
        encode: What gives the vectors of at most 16 images at once. With k regions chosen of n, it
            gets about ``2 n k`` images.
        most: How many regions to choose; None for all.
        enough: Stop as soon as the chosen regions alone have this part of the image's score, above
            0 and at most 1; None for all of them.
        effectiveness: ``w``, at least 0.

    Raises:
        QueryError: Image, regions and target do not fit each other, or a setting is out of range.
    """
    count = _checked(image, regions)
    if most is not None and most < 1:
        raise QueryError(f"{most} regions cannot be chosen; give 1 or more, or None for all")
    if (enough is not None and not 0 < enough <= 1) or not effectiveness >= 0:
        raise QueryError(
            f"enough={enough} and effectiveness={effectiveness} are out of range: give a part of "
            "the score above 0 and at most 1, and a weight of 0 or more"
        )
    aim = _unit(np.asarray(target, np.float64)[None])[0]
    fill = mean_colour(image)

    def similar(sets: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = _vectors(image, fill, regions, sets, encode) @ aim
        return found

    everything = range(count)
    score = float(similar([everything])[0])
    distances = np.zeros((count, count))
    if effectiveness:
        alone = _vectors(image, fill, regions, [[one] for one in everything], encode)
        distances = 1 - alone @ alone.T
    chosen: list[int] = []
    kept: list[float] = []
    removed: list[float] = []
    for _ in range(count if most is None else min(most, count)):
        rest = [one for one in everything if one not in chosen]
        with_it = similar([[*chosen, one] for one in rest])
        without = similar([[other for other in rest if other != one] for one in rest])
        apart = [_apart(distances, [*chosen, one]) for one in rest]
        best = int(np.argmax(with_it + (1 - without) + effectiveness * np.array(apart)))
        chosen.append(rest[best])
        kept.append(float(with_it[best]))
        removed.append(float(without[best]))
        if enough is not None and kept[-1] >= enough * score:
            break
    return FewestRegions(score, tuple(chosen), tuple(kept), tuple(removed))


def covering_curves(
    image: Pixels,
    regions: NDArray[np.integer],
    target: ArrayLike,
    encode: Encode,
    order: Sequence[int],
    *,
    fill: Pixels | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Insertion and deletion: how similarity rises and falls as regions come and go in an order.

    Source: Petsiuk, Das and Saenko, RISE: Randomized Input Sampling for Explanation of Black-box
    Models, 2018. A good order has a high mean of the first curve and a low one of the second.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        regions: ``(h, w)``, as for `choose_regions`.
        target: ``(d,)``, not all 0.
        encode: What gives the vectors of images.
        order: Numbers of regions, the most important first.
        fill: ``(h, w, 3)`` uint8, what covers regions; None for the image's mean colour.

    Returns:
        Cosines ``(k + 1,)`` of the image with only the first 0 to k regions of the order, and
        without them.

    Raises:
        QueryError: Image, regions, fill, order and target do not fit each other.
    """
    count = _checked(image, regions)
    cover = mean_colour(image) if fill is None else fill
    if cover.shape != image.shape or len({*order} & {*range(count)}) != len(order):
        raise QueryError(
            f"a cover {cover.shape} and an order of {len(order)} regions do not fit an image "
            f"{image.shape} of {count} regions; give one of its shape, and each region once"
        )
    aim = _unit(np.asarray(target, np.float64)[None])[0]
    first = [list(order[:number]) for number in range(len(order) + 1)]
    others = [[one for one in range(count) if one not in {*few}] for few in first]
    inserted = _vectors(image, cover, regions, first, encode) @ aim
    deleted = _vectors(image, cover, regions, others, encode) @ aim
    return inserted, deleted


def grid_regions(height: int, width: int, count: int = 25) -> tuple[NDArray[np.int64], int, int]:
    """About so many regions, nearly square, row by row.

    Args:
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        count: How many regions are wanted.

    Returns:
        ``(height, width)`` numbers of the regions, and how many rows and columns they make up.

    Raises:
        QueryError: The image has no pixels, or no region is wanted.
    """
    if min(height, width, count) < 1:
        raise QueryError(f"an image of {width} x {height} pixels has no {count} regions")
    rows = min(height, count, max(1, round((count * height / width) ** 0.5)))
    columns = min(width, max(1, round(count / rows)))
    down = np.arange(height) * rows // height
    across = np.arange(width) * columns // width
    return down[:, None] * columns + across, rows, columns


def mean_colour(image: Pixels) -> Pixels:
    """An image of the same shape that has the mean colour everywhere."""
    mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    return np.broadcast_to(mean, image.shape)


def _apart(distances: NDArray[np.float64], members: Sequence[int]) -> float:
    """Sum of each member's distance from the nearest other one; 0 of a single one."""
    if len(members) < 2:
        return 0.0
    among = distances[np.ix_(members, members)].copy()
    np.fill_diagonal(among, np.inf)
    return float(among.min(axis=1).sum())


def _vectors(
    image: Pixels,
    cover: Pixels,
    regions: NDArray[np.integer],
    sets: Sequence[Sequence[int]],
    encode: Encode,
) -> NDArray[np.float64]:
    """Unit vectors of the image with only these sets of regions uncovered, in blocks."""
    found = []
    for start in range(0, len(sets), _BLOCK):
        shown = [
            np.where(np.isin(regions, list(each))[..., None], image, cover)
            for each in sets[start : start + _BLOCK]
        ]
        rows = np.asarray(encode(np.stack(shown)), np.float64)
        if rows.ndim != 2 or len(rows) != len(shown) or not np.isfinite(rows).all():
            raise QueryError(
                f"{len(shown)} images were encoded as {rows.shape}; give finite vectors (b, d)"
            )
        found.append(_unit(rows))
    return np.concatenate(found)


def _checked(image: Pixels, regions: NDArray[np.integer]) -> int:
    """How many regions there are."""
    if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape or image.shape[2] != 3:
        raise QueryError(f"an image is (h, w, 3) uint8, not {image.shape} {image.dtype}")
    numbers = np.unique(regions)
    count = len(numbers)
    fits = regions.shape == image.shape[:2] and np.issubdtype(regions.dtype, np.integer)
    if not fits or not np.array_equal(numbers, np.arange(count)) or count > MOST_REGIONS:
        raise QueryError(
            f"regions {regions.shape} with {count} numbers do not fit an image {image.shape}; "
            f"give each pixel a number from 0 on, none left out, and at most {MOST_REGIONS} regions"
        )
    return count


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    if rows.ndim != 2 or not np.isfinite(rows).all():
        raise QueryError(f"vectors of shape {rows.shape[1:]} cannot be compared; give finite (d,)")
    made: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1), 1e-12)[:, None]
    return made
