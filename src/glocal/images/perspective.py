"""The homography of four points, in Pillow's form."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def homography(points: ArrayLike, targets: ArrayLike) -> tuple[float, ...]:
    """The homography that takes four points to four others.

    Args:
        points: ``(4, 2)``, no three of them on one line.
        targets: ``(4, 2)``.

    Returns:
        Eight coefficients, as `PIL.Image.Image.transform` takes them for ``PERSPECTIVE`` where the
        points are those of the result and the targets those of the image.
    """
    (x, y), (u, v) = np.asarray(points, float).T, np.asarray(targets, float).T
    zero, one = np.zeros(4), np.ones(4)
    equations = np.concatenate(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    found: list[float] = np.linalg.solve(equations, np.concatenate([u, v])).tolist()
    return tuple(found)
