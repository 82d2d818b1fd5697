"""The explainer ``concepts``: what a query and its hits have in common."""

from __future__ import annotations

from glocal.explain.explainer import Explanation, View
from glocal.explain.factorization import joint_concepts
from glocal.explain.figures import concepts_figure
from glocal.explain.similarity import decompose


def explain_concepts(view: View) -> Explanation:
    """Colour the concepts of all images; see `glocal.explain.factorization.joint_concepts`.

    Its maps are ``(rows, columns, concepts)`` for the query and each hit.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
    """
    grids = view.contributions()
    maps = joint_concepts(grids, view.concepts)
    scores = tuple(decompose(grids[0], grid).score for grid in grids[1:])
    return Explanation("concepts", scores, lambda: concepts_figure(view.shown, maps), tuple(maps))
