"""The bridges: maps by which queries of one model search vectors of another (`glocal.upgrade`).

Each is a `glocal.upgrade.Bridge`. One with the trait ``keeps-gallery`` compares its queries with
the old vectors as they are, so that an index of them serves at once; the others need the gallery's
vectors mapped too. The queries of one with the trait ``both-models`` have the old model's vector
and, behind it, the new one's.
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
        "cca-kept",
        "Hotelling, Relations Between Two Sets of Variates, 1936",
        f"{_BRIDGES}.cca:KeptCanonicalCorrelation",
        summary="the same correlations, all of the map on the side of the query",
        traits=("keeps-gallery",),
    ),
    Part(
        "bridge",
        "mlp",
        "He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016",
        f"{_BRIDGES}.mlp:ResidualMLP",
        summary="the linear map and a small network that corrects it",
        traits=("keeps-gallery",),
    ),
    Part(
        "bridge",
        "relative",
        "Moschella, Maiorca, Fumero, Norelli, Locatello and Rodolà, Relative representations "
        "enable zero-shot latent space communication, 2023",
        f"{_BRIDGES}.relative:RelativeRepresentations",
        summary="similarities to anchor images that both models encoded",
    ),
    Part(
        "bridge",
        "product",
        "Cannistraci, Moschella, Fumero, Maiorca and Rodolà, From Bricks to Bridges: Product of "
        "Invariances to Enhance Latent Space Communication, 2024",
        f"{_BRIDGES}.product:ProductOfInvariances",
        summary="similarities to anchor images by four measures",
    ),
    Part(
        "bridge",
        "subspace",
        "Hadgi, Moschella, Santilli, Gomez, Huang, Rodolà, Melzi and Ovsjanikov, Escaping Plato's "
        "Cave: Towards the Alignment of 3D and Text Latent Spaces, 2025",
        f"{_BRIDGES}.subspace:SubspaceAlignment",
        summary="a linear map between the most correlated directions only",
    ),
    Part(
        "bridge",
        "displacement",
        "Wang et al., FreeBind: Free Lunch in Unified Multimodal Space via Knowledge Fusion, 2024",
        f"{_BRIDGES}.freebind:DisplacementBond",
        summary="the gallery moves into the new space",
    ),
    Part(
        "bridge",
        "combination",
        "Wang et al., FreeBind: Free Lunch in Unified Multimodal Space via Knowledge Fusion, 2024",
        f"{_BRIDGES}.freebind:CombinationBond",
        summary="queries of both models are averaged",
        traits=("keeps-gallery", "both-models"),
    ),
    Part(
        "bridge",
        "omnibind",
        "Wang et al., OmniBind: Large-scale Omni Multimodal Representation via Binding Spaces, "
        "2025",
        f"{_BRIDGES}.omnibind:OmniBind",
        summary="queries of several models, weighed for each query",
        traits=("keeps-gallery",),
    ),
)
