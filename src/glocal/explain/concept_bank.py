"""The concepts of a collection: non-negative directions that its images are made of.

Source: Zhang, Madumal, Miller, Ehinger and Rubinstein, Invertible Concept-based Explanations for
CNN Models with Non-negative Concept Activation Vectors, AAAI 2021 (ICE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.explain.factorization import factorize

MOST_CELLS = 4096
"""Cells that are factorised: of more, so many are drawn at random."""

_SWEEPS = 50
_TINY = 1e-12

Box = tuple[float, float, float, float]
Map = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Patch:
    """A cell that shows a concept.

    Attributes:
        image: Number of the image.
        box: X, y, width and height of the cell in fractions of the image.
        score: How much of the concept is in it.
    """

    image: int
    box: Box
    score: float


@dataclass(frozen=True, slots=True, eq=False)
class ConceptBank:
    """Concepts, and what is left of images that are made of nothing else.

    Attributes:
        concepts: ``(k, d)`` float64, the direction of each concept in the space of the cells, the
            strongest first. It is of unit length where cells have no negative numbers.
        halves: ``(k, 2 d)`` float64, at least 0: what it has of each number and of its negative.
    """

    concepts: NDArray[np.float64]
    halves: NDArray[np.float64]

    def scores(self, cells: Map) -> NDArray[np.float32]:
        """How much of each concept is in each cell of an image.

        With a the cell and P the concepts, the scores are the s of at least 0 with the smallest
        ``|a - s P|``, by coordinate descent.

        Args:
            cells: ``(h, w, d)``, the image's feature map or contributions.

        Returns:
            ``(h, w, k)`` float32, at least 0.

        Raises:
            QueryError: Cells have another length, or are not finite.
        """
        rows = _split(_checked(cells, self.concepts.shape[1]))
        gram, target = self.halves @ self.halves.T, rows @ self.halves.T
        found = np.zeros_like(target)
        for _ in range(_SWEEPS):
            before = found.copy()
            for k in range(len(gram)):
                step = (target[:, k] - found @ gram[:, k]) / max(gram[k, k], _TINY)
                found[:, k] = np.maximum(found[:, k] + step, 0)
            if np.abs(found - before).max() <= 1e-7 * max(float(found.max()), _TINY):
                break
        scores: NDArray[np.float32] = found.reshape(*cells.shape[:2], -1).astype(np.float32)
        return scores

    def rebuilt(self, cells: Map) -> NDArray[np.float32]:
        """The image's cells, of concepts only: ``(h, w, d)`` float32, ``s P``.

        What a model makes of them in place of the cells says how faithful the concepts are.

        Raises:
            QueryError: Cells have another length, or are not finite.
        """
        made: NDArray[np.float32] = (self.scores(cells) @ self.concepts).astype(np.float32)
        return made

    def examples(self, maps: Sequence[Map], count: int = 5) -> list[list[Patch]]:
        """The patches that show each concept most, one of each image.

        Args:
            maps: ``(h, w, d)`` of each image.
            count: How many patches of each concept, at most.

        Raises:
            QueryError: Cells have another length, are not finite, or no patch is wanted.
        """
        if count < 1:
            raise QueryError(f"{count} patches of a concept cannot be shown; give 1 or more")
        found: list[list[Patch]] = [[] for _ in self.concepts]
        for number, cells in enumerate(maps):
            scores = self.scores(cells)
            rows, columns = scores.shape[:2]
            for k, patches in enumerate(found):
                row, column = divmod(int(scores[..., k].argmax()), columns)
                box = (column / columns, row / rows, 1 / columns, 1 / rows)
                patches.append(Patch(number, box, float(scores[row, column, k])))
        return [
            sorted((each for each in patches if each.score > 0), key=lambda p: -p.score)[:count]
            for patches in found
        ]


def find_concepts(
    maps: Sequence[Map], count: int = 20, *, most_cells: int = MOST_CELLS, seed: int = 0
) -> ConceptBank:
    """Find the concepts of images: non-negative factors of their cells.

    With the n cells of all images as rows of A, at least 0, the concepts are the rows of P in
    ``A = S P + E`` with S and P at least 0 and ``|E|`` small. Since they are directions of a layer,
    `ConceptBank.rebuilt` leads back to the layer and to what the model makes of it, and
    `ConceptBank.examples` shows people what a concept is.

    Source: Zhang, Madumal, Miller, Ehinger and Rubinstein, Invertible Concept-based Explanations
    for CNN Models with Non-negative Concept Activation Vectors, 2021.

    Deviations: cells may have negative numbers, such as contributions to a vector: each number is
    split into its positive and its negative part, as in `glocal.explain.factorization`; a patch is
    a cell, where the paper shows the area above a threshold; importance for a class is not here.

    Args:
        maps: ``(h, w, d)`` of each image, its feature map, or a model's
            `glocal.encoders.OnnxEncoder.contributions`.
        count: Number of concepts.
        most_cells: Cells that are factorised; of more, so many are drawn.
        seed: Seed of the draw.

    Raises:
        QueryError: There are no images or no concepts, more concepts than cells, lengths differ,
            or values are not finite.
    """
    if not len(maps) or count < 1 or most_cells < 1:
        raise QueryError(
            f"{count} concepts of {most_cells} cells of {len(maps)} images cannot be found; give "
            "at least one of each"
        )
    rows = _drawn(maps, most_cells, seed)
    if count > len(rows):
        raise QueryError(f"{len(rows)} cells have no {count} concepts; give fewer, or more images")
    split = _split(rows)
    used = split.any(axis=0)  # of feature maps after a rectifier, the negative half is empty
    factors = factorize(split[:, used] if used.any() else split, count)
    order = np.argsort(-np.square(factors.weights).sum(axis=0), kind="stable")
    halves = np.zeros((count, split.shape[1]))
    halves[:, used if used.any() else slice(None)] = factors.factors[order]
    width = rows.shape[1]
    return ConceptBank(halves[:, :width] - halves[:, width:], halves)


def _drawn(maps: Sequence[Map], most: int, seed: int) -> NDArray[np.float64]:
    """Cells of all images as rows, or as many of them as may be held at once."""
    shapes = [np.shape(cells) for cells in maps]
    ends = np.cumsum([int(np.prod(shape[:2])) for shape in shapes])
    total = int(ends[-1])
    drawn = np.arange(total)
    if total > most:
        drawn = np.sort(np.random.default_rng(seed).choice(total, most, replace=False))
    found, start = [], 0
    for cells, end in zip(maps, ends, strict=True):
        rows = _checked(cells, shapes[0][-1] if shapes[0] else 0)
        found.append(rows[drawn[(drawn >= start) & (drawn < end)] - start])
        start = end
    return np.concatenate(found)


def _checked(cells: Map, width: int) -> NDArray[np.float64]:
    """The cells of an image as rows."""
    rows = np.asarray(cells, np.float64)
    if rows.ndim != 3 or 0 in rows.shape or rows.shape[2] != width:
        raise QueryError(
            f"cells {rows.shape} are no image of concepts of length {width}; give (h, w, {width})"
        )
    if not np.isfinite(rows).all():
        raise QueryError("cells have numbers that are not finite; give finite ones")
    return rows.reshape(-1, width)


def _split(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.hstack([np.maximum(rows, 0), np.maximum(-rows, 0)])
