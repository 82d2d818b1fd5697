"""The bridges: maps by which queries of one model search vectors of another (`glocal.upgrade`).

Each is a `glocal.upgrade.Bridge`. One with the trait ``keeps-gallery`` compares its queries with
the old vectors as they are, so that an index of them serves at once; the others need the gallery's
vectors mapped too.
"""

from glocal.registry import Part

_BRIDGES = "glocal.upgrade.bridges"

ROWS = (
    Part(
        "bridge",
        "procrustes",
        "Schönemann, A Generalized Solution of the Orthogonal Procrustes Problem, 1966",
        f"{_BRIDGES}.procrustes:Procrustes",
        summary="the best rotation between centred vectors",
        traits=("keeps-gallery",),
    ),
    Part(
        "bridge",
        "ridge",
        "Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970",
        f"{_BRIDGES}.ridge:Ridge",
        summary="the best regularised linear map",
        traits=("keeps-gallery",),
    ),
    Part(
        "bridge",
        "cca",
        "Hotelling, Relations Between Two Sets of Variates, 1936",
        f"{_BRIDGES}.cca:CanonicalCorrelation",
        summary="the directions of both spaces that are correlated most",
    ),
    Part(
        "bridge",
        "mlp",
        "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016",
        f"{_BRIDGES}.mlp:ResidualMLP",
        summary="the linear map and a small network that corrects it",
        traits=("keeps-gallery",),
    ),
)
