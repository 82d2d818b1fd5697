"""The explainer ``eigen``: what stands out in each image by itself (Eigen-CAM)."""

from __future__ import annotations

from glocal.explain.eigen_cam import eigen_cam
from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import eigen_figure
from glocal.explain.similarity import decompose


def explain_eigen(view: View) -> Explanation:
    """Show what stands out in each image; see `glocal.explain.eigen_cam.eigen_cam`.

    Its maps are one for the query and one for each hit.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
    """
    grids = view.contributions()
    maps = [eigen_cam(grid) for grid in grids]
    scores = tuple(decompose(grids[0], grid).score for grid in grids[1:])
    return Explanation("eigen", scores, lambda: eigen_figure(view.shown, maps), tuple(maps))
