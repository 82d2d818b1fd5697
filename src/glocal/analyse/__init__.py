"""Findings about a model or a gallery, measured from vectors."""

from glocal.analyse.graph_recall import GraphStudy, Insertion, study_graph
from glocal.analyse.intrinsic_dimension import local_intrinsic_dimensions
from glocal.analyse.projection import ProjectionStudy, study_projection

__all__ = [
    "GraphStudy",
    "Insertion",
    "ProjectionStudy",
    "local_intrinsic_dimensions",
    "study_graph",
    "study_projection",
]
