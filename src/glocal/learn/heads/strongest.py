"""Pick the strongest cells of a map."""

from __future__ import annotations

from torch import Tensor

from glocal.learn.contracts import Level, Local
from glocal.learn.receptive import picked_centres


def pick_strongest(
    level: Level, features: Tensor, scores: Tensor, count: int
) -> tuple[Local, Tensor]:
    """The strongest cells, strongest first, or all where a map has fewer.

    Args:
        level: of the map.
        features: ``(b, e, h, w)``, one unit vector a cell.
        strengths: ``(b, h, w)``, at least 0.
        count: of cells.

    Returns:
        The local features, and the places ``(b, m)`` of their cells, counted row by row.
    """
    # Sorting and cutting, unlike picking the best k, leaves the number open in an ONNX graph.
    ordered, places = scores.flatten(1).sort(dim=1, descending=True)
    ordered, places = ordered[:, :count], places[:, :count]
    flat = features.flatten(2)
    index = places[:, None, :].expand(-1, flat.shape[1], -1)
    descriptors = flat.gather(2, index).transpose(1, 2)
    return Local(picked_centres(level, places, features), descriptors, ordered), places
