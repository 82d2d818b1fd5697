"""The explainer ``eigen``: what stands out in each image by itself (Eigen-CAM)."""

from __future__ import annotations

from glocal.explain.eigen_cam import eigen_cam
from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import eigen_figure
from glocal.explain.similarity import decompose


def explain_eigen(view: View) -> Explanation:
    """Show what stands out in each image; see `glocal.explain.eigen_cam.eigen_cam`.

    With the singular value decomposition ``O = U S V^T`` of an image's cells ``O``, ``(h w, d)``,
    the heat map is ``O v_1``: each cell's projection on the first principal direction. It needs
    neither a label nor a gradient. Its maps are one for the query and one for each hit.

    Source: Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components, 2020.

    Deviations: ``O`` has what each cell adds to the vector that is compared, where the paper has
    the activations of the last convolution; a direction is turned so that the cells together
    point along it, and what points the other way counts as 0.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
    """
    grids = view.contributions()
    maps = [eigen_cam(grid) for grid in grids]
    scores = tuple(decompose(grids[0], grid).score for grid in grids[1:])
    return Explanation("eigen", scores, lambda: eigen_figure(view.shown, maps), tuple(maps))
