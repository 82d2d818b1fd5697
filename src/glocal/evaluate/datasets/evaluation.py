"""The common interface of data sets: queries, a gallery, and the evaluation of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a data set.

    Attributes:
        path: image file, which may turn out to be missing or unreadable.
        region: x, y, width, height in pixels of the upright image, if only that region counts.
    """

    path: Path
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Result of a protocol for a model's vectors.

    Attributes:
        figures: metrics by row and column of the report; in [0, 1], or nan if no query counts.
        counts: numbers of queries and images that the figures are over, or that were left out.
        goodness: ``(q,)`` float64, score of each query, higher is better; nan for a query that
            does not count.
    """

    figures: dict[str, dict[str, float]]
    counts: dict[str, int]
    goodness: NDArray[np.float64]


class Evaluation(Protocol):
    """A data set under a protocol."""

    @property
    def queries(self) -> Sequence[Sample]:
        """The query images."""
        ...

    @property
    def gallery(self) -> Sequence[Sample]:
        """The images that are searched."""
        ...

    @property
    def leave_one_out(self) -> bool:
        """Whether query i is gallery item i, which is then excluded from its own answers."""
        ...

    @property
    def goodness_name(self) -> str:
        """Name of the metric that `Report.goodness` holds."""
        ...

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """Evaluate the vectors of all images.

        Args:
            queries: ``(q, d)``, rows of unit length, or of nan if an image could not be read.
            gallery: ``(n, d)``, rows of unit length, or of nan if an image could not be read.
        """
        ...

    def is_right(self, query: int, answer: int) -> bool | None:
        """Whether a gallery item is a right answer to a query; None if it is ignored."""
        ...
