"""The catalogue of published methods, and what has been measured of each.

A row of the catalogue is a published method, the stage of glocal it belongs to, and the sentence
that has to be shown for it to count as working. Its trial (`glocal.trials`) measures that, its
result is stored, and its state is computed from the stored numbers. Nothing here imports torch.
"""

from glocal.methods.catalogue import Method, catalogue, method_named
from glocal.methods.claim import Check, Claim, Pair
from glocal.methods.results import Result, read_result
from glocal.methods.states import STATES, State, Status, status_of

__all__ = [
    "STATES",
    "Check",
    "Claim",
    "Method",
    "Pair",
    "Result",
    "State",
    "Status",
    "catalogue",
    "method_named",
    "read_result",
    "status_of",
]
