"""The field's data sets as they lie on disk: which pictures there are, and how they are judged.

One module a layout. A reader takes a folder and gives a `Trial`: lists of queries and gallery
pictures for someone else to encode, and the judge of the vectors. Nothing here opens a picture.
"""

from glocal.evaluate.datasets.copies import CopiesTrial, read_copies
from glocal.evaluate.datasets.labelled import LabelledTrial, read_labelled
from glocal.evaluate.datasets.landmarks import RecognitionTrial, RetrievalTrial, read_landmarks
from glocal.evaluate.datasets.places import PlacesTrial, read_places
from glocal.evaluate.datasets.revisited import RevisitedTrial, read_revisited
from glocal.evaluate.datasets.trial import Judgement, Sample, Trial

__all__ = [
    "CopiesTrial",
    "Judgement",
    "LabelledTrial",
    "PlacesTrial",
    "RecognitionTrial",
    "RetrievalTrial",
    "RevisitedTrial",
    "Sample",
    "Trial",
    "read_copies",
    "read_labelled",
    "read_landmarks",
    "read_places",
    "read_revisited",
]
