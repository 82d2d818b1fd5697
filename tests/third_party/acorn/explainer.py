"""An explainer that shows how far two images' contributions are apart, cell by cell."""

import numpy as np

from glocal.explain import Explanation, View
from glocal.explain.figures import eigen_figure


def difference(view: View) -> Explanation:
    """Mean contribution of the hit to each direction, against that of the query's cells."""
    query, hit = view.contributions()
    apart = np.linalg.norm(query - hit.mean(axis=(0, 1)), axis=2).astype(np.float32)
    score = float(query.sum(axis=(0, 1)) @ hit.sum(axis=(0, 1)))
    return Explanation(
        "difference", (score,), lambda: eigen_figure([view.query.shown], [apart]), (apart,)
    )
