"""What a compressor of vectors has decided: which numbers of a vector are kept, or mixed how."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import CompressError

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """A map from long vectors to short ones, the same for a gallery's vectors and for queries.

    Either dimensions are chosen, and nothing has to be stored besides their numbers, or vectors
    are centred and multiplied by axes.

    Attributes:
        before: Length of the vectors that it takes.
        chosen: ``(k,)`` int64, numbers of the dimensions that are kept, in rising order; None
            where vectors are mixed.
        mean: ``(before,)`` float32, subtracted first; None where dimensions are chosen.
        axes: ``(before, k)`` float32; None where dimensions are chosen.
    """

    before: int
    chosen: NDArray[np.int64] | None = None
    mean: Floats | None = None
    axes: Floats | None = None

    @property
    def dim(self) -> int:
        """Length of the vectors that it makes."""
        if self.chosen is not None:
            return len(self.chosen)
        return 0 if self.axes is None else self.axes.shape[1]

    def apply(self, vectors: ArrayLike) -> Floats:
        """Short vectors ``(n, dim)``, float32 of unit length; zeros where nothing is left.

        Args:
            vectors: ``(n, before)``.

        Raises:
            CompressError: The vectors have another length or are not finite numbers.
        """
        rows = checked_vectors(vectors)
        if rows.shape[1] != self.before:
            raise CompressError(
                f"the vectors have {rows.shape[1]} numbers, the plan was made for {self.before}; "
                "use vectors of the model that it was made for"
            )
        if self.chosen is not None:
            short = rows[:, self.chosen]
        else:
            assert self.axes is not None and self.mean is not None  # noqa: PT018, S101
            short = (rows - self.mean) @ self.axes  # type: ignore[assignment]
        lengths = np.linalg.norm(short, axis=1, keepdims=True)
        found: Floats = short / np.maximum(lengths, np.float32(1e-12))
        return found


def checked_vectors(vectors: ArrayLike, *, least: int = 0) -> Floats:
    """Vectors as float32 rows.

    Args:
        vectors: ``(n, d)``.
        least: The fewest rows that are enough.

    Raises:
        CompressError: They are too few, have another shape, or are not finite numbers.
    """
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or 0 in rows.shape[1:]:
        raise CompressError(f"vectors have to be (n, d), not {rows.shape}; pass one in each row")
    if len(rows) < least:
        raise CompressError(
            f"{len(rows)} vectors are too few to plan on; pass {least} or more of the gallery's"
        )
    if not np.isfinite(rows).all():
        raise CompressError(
            f"there is a nan or infinite number in row {int((~np.isfinite(rows)).any(1).argmax())} "
            "of the vectors; encode that image again"
        )
    return rows
