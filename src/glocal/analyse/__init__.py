"""Findings about a model or a gallery, measured from vectors."""

from glocal.analyse.boundary import boundary_points, direction_dispersion
from glocal.analyse.convergent import UnitStudy, study_units
from glocal.analyse.cues import CueStudy, nearest_class, on_diagonal, study_cues
from glocal.analyse.filters import FilterStudy, extract_kernels, filter_shift, study_filters
from glocal.analyse.graph_recall import GraphStudy, Insertion, study_graph
from glocal.analyse.intrinsic_dimension import local_intrinsic_dimensions
from glocal.analyse.layers import LayerReport, LayerStudy, study_layers
from glocal.analyse.neural_collapse import CollapseStudy, predicted_lengths, study_collapse
from glocal.analyse.projection import ProjectionStudy, study_projection

__all__ = [
    "CollapseStudy",
    "CueStudy",
    "FilterStudy",
    "GraphStudy",
    "Insertion",
    "LayerReport",
    "LayerStudy",
    "ProjectionStudy",
    "UnitStudy",
    "boundary_points",
    "direction_dispersion",
    "extract_kernels",
    "filter_shift",
    "local_intrinsic_dimensions",
    "nearest_class",
    "on_diagonal",
    "predicted_lengths",
    "study_collapse",
    "study_cues",
    "study_filters",
    "study_graph",
    "study_layers",
    "study_projection",
    "study_units",
]
