"""Images of why images match, and of what a search found."""

from glocal.explain.explanation import KINDS, Explanation, Kind, explain
from glocal.explain.matches import Matches

__all__ = ["KINDS", "Explanation", "Kind", "Matches", "explain"]
