"""What every data set comes to: queries, a gallery, and a judge of their vectors."""

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
        path: of its file, which may turn out to be missing or no image.
        region: x, y, width, height in pixels of the upright image, where only that part counts.
    """

    path: Path
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What a protocol says of a model's vectors.

    Attributes:
        figures: by row and column of the table the protocol is reported in; in [0, 1], or nan
            where no query counts.
        counts: what the figures are over, and what was left out.
        goodness: ``(q,)`` float64, how well each query went, higher is better; nan for a query
            that does not count.
    """

    figures: dict[str, dict[str, float]]
    counts: dict[str, int]
    goodness: NDArray[np.float64]


class Evaluation(Protocol):
    """A data set under a protocol."""

    @property
    def queries(self) -> Sequence[Sample]:
        """What is looked for."""
        ...

    @property
    def gallery(self) -> Sequence[Sample]:
        """What is looked through."""
        ...

    @property
    def leave_one_out(self) -> bool:
        """Whether query i is gallery item i, which is then none of its own answers."""
        ...

    @property
    def goodness_name(self) -> str:
        """What the goodness of a query is."""
        ...

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """Judge vectors.

        Args:
            queries: ``(q, d)`` rows of unit length; of nan where an image could not be read.
            gallery: ``(n, d)`` likewise.
        """
        ...

    def is_right(self, query: int, answer: int) -> bool | None:
        """Whether a gallery item answers a query; None where it counts neither for nor against."""
        ...
