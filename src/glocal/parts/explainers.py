"""The explainers: why images match, as a figure and numbers (`glocal.explain.Explainer`).

Their traits are described in `glocal.explain.explainer`.
"""

from glocal.registry import Part

_EXPLAINERS = "glocal.explain.explainers"

ROWS = (
    Part(
        "explainer",
        "similarity",
        "Zhu, Yang and Chen, Visual Explanation for Deep Metric Learning, 2019",
        f"{_EXPLAINERS}.similarity:explain_similarity",
        summary="what each region adds to the score",
        traits=("place",),
    ),
    Part(
        "explainer",
        "matches",
        "Philbin, Chum, Isard, Sivic and Zisserman, Object Retrieval with Large Vocabularies and "
        "Fast Spatial Matching, 2007",
        f"{_EXPLAINERS}.matches:explain_matches",
        summary="the points that geometric verification accepts",
        traits=("one-hit", "matches"),
    ),
    Part(
        "explainer",
        "regions",
        "Tolias, Sicre and Jégou, Particular Object Retrieval with Integral Max-Pooling of CNN "
        "Activations, 2016",
        f"{_EXPLAINERS}.regions:explain_regions",
        summary="which region of the query is like which region of the hit",
    ),
    Part(
        "explainer",
        "correspondences",
        "Nguyen, Taesiri, Kim and Nguyen, Allowing Humans to Interactively Guide Machines Where to "
        "Look Does Not Always Improve a Human-AI Team's Classification Accuracy, 2024",
        f"{_EXPLAINERS}.correspondences:explain_correspondences",
        summary="which cells correspond, of those that a point or region of the query allows",
        traits=("place",),
    ),
    Part(
        "explainer",
        "fewest",
        "Chen, Zhang, Liang, Li and Cao, Less is More: Fewer Interpretable Region via Submodular "
        "Subset Selection, 2024",
        f"{_EXPLAINERS}.fewest:explain_fewest",
        summary="the fewest regions of the query that the score rests on; takes seconds",
    ),
    Part(
        "explainer",
        "concepts",
        "Collins, Achanta and Süsstrunk, Deep Feature Factorization for Concept Discovery, 2018",
        f"{_EXPLAINERS}.concepts:explain_concepts",
        summary="what the images have in common",
    ),
    Part(
        "explainer",
        "eigen",
        "Muhammad and Yeasin, Eigen-CAM: Class Activation Map using Principal Components, 2020",
        f"{_EXPLAINERS}.eigen:explain_eigen",
        summary="what stands out in each image by itself",
        traits=("alone",),
    ),
)
