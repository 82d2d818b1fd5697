"""Figures and numbers that show why images match, and sheets of what a search found."""

from glocal.explain.explainer import Explainer, Explanation, View
from glocal.explain.explanation import explain
from glocal.explain.matches import Matches

__all__ = ["Explainer", "Explanation", "Matches", "View", "explain"]
