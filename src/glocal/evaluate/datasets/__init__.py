"""The field's data sets as they are stored on disk: their images, and how they are evaluated.

There is one module for each layout. A reader takes a folder and returns an `Evaluation`: lists of
query and gallery images for the caller to encode, and the protocol that evaluates the vectors.
Nothing here opens an image.
"""

from glocal.evaluate.datasets.copies import CopiesEvaluation, read_copies
from glocal.evaluate.datasets.evaluation import Evaluation, Report, Sample
from glocal.evaluate.datasets.labelled import LabelledEvaluation, read_labelled
from glocal.evaluate.datasets.landmarks import (
    RecognitionEvaluation,
    RetrievalEvaluation,
    read_landmarks,
)
from glocal.evaluate.datasets.places import PlacesEvaluation, read_places
from glocal.evaluate.datasets.revisited import RevisitedEvaluation, read_revisited

__all__ = [
    "CopiesEvaluation",
    "Evaluation",
    "LabelledEvaluation",
    "PlacesEvaluation",
    "RecognitionEvaluation",
    "Report",
    "RetrievalEvaluation",
    "RevisitedEvaluation",
    "Sample",
    "read_copies",
    "read_labelled",
    "read_landmarks",
    "read_places",
    "read_revisited",
]
