"""Pick the highest-scoring cells of a feature map."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.contracts import Level, Local
from glocal.learn.receptive import picked_centres


def pick_strongest(
    level: Level, features: Tensor, scores: Tensor, count: int
) -> tuple[Local, Tensor]:
    """Pick the cells with the highest scores, highest first; all if there are fewer than `count`.

    Args:
        level: level of the feature map.
        features: ``(b, e, h, w)``, one unit vector for each cell.
        scores: ``(b, h, w)``, at least 0.
        count: number of cells to pick.

    Returns:
        The local features, and the numbers ``(b, m)`` of their cells, counted row by row.
    """
    # Unlike top-k, sorting and cutting leaves the number of cells open in an ONNX graph.
    ordered, places = scores.flatten(1).sort(dim=1, descending=True)
    ordered, places = ordered[:, :count], places[:, :count]
    flat = features.flatten(2)
    index = places[:, None, :].expand(-1, flat.shape[1], -1)
    descriptors = flat.gather(2, index).transpose(1, 2)
    return Local(picked_centres(level, places, features), descriptors, ordered), places
