"""Retrieval metrics by the field's published protocols, as functions over arrays.

There is one module for each protocol: labelled galleries, revisited Oxford and Paris, Google
Landmarks v2, copy detection, places. A query without a right answer is left out of a mean and
counted; a mean over no query is nan. Ties never help: `labelled` and `copies` put the wrong answers
of a tie first.
"""

from glocal.evaluate.compatibility import (
    CrossResult,
    average_accuracy,
    average_compatibility,
    evaluate_cross,
    update_gain,
)
from glocal.evaluate.copies import (
    CopyPredictions,
    CopyResult,
    evaluate_copies,
    read_copy_predictions,
    read_copy_truth,
)
from glocal.evaluate.ground_truth import GroundTruth, read_ground_truth, write_ground_truth
from glocal.evaluate.labelled import LabelledResult, evaluate_labelled
from glocal.evaluate.landmarks import (
    LandmarkSolution,
    evaluate_landmark_recognition,
    evaluate_landmark_retrieval,
    read_recognition_predictions,
    read_recognition_solution,
    read_retrieval_predictions,
    read_retrieval_solution,
)
from glocal.evaluate.places import PlacesResult, evaluate_places, metres_between
from glocal.evaluate.ranking_metrics import (
    average_precision,
    map_at_r,
    mean_average_precision,
    precision_at,
    r_precision,
    rank_by_score,
    recall_at,
)
from glocal.evaluate.revisited import SetupResult, evaluate_revisited

__all__ = [
    "CopyPredictions",
    "CopyResult",
    "CrossResult",
    "GroundTruth",
    "LabelledResult",
    "LandmarkSolution",
    "PlacesResult",
    "SetupResult",
    "average_accuracy",
    "average_compatibility",
    "average_precision",
    "evaluate_copies",
    "evaluate_cross",
    "evaluate_labelled",
    "evaluate_landmark_recognition",
    "evaluate_landmark_retrieval",
    "evaluate_places",
    "evaluate_revisited",
    "map_at_r",
    "mean_average_precision",
    "metres_between",
    "precision_at",
    "r_precision",
    "rank_by_score",
    "read_copy_predictions",
    "read_copy_truth",
    "read_ground_truth",
    "read_recognition_predictions",
    "read_recognition_solution",
    "read_retrieval_predictions",
    "read_retrieval_solution",
    "recall_at",
    "update_gain",
    "write_ground_truth",
]
