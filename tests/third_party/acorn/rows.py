"""The rows that glocal reads by the entry point ``acorn``; importing them imports no part."""

from glocal.registry import Part

_SOURCE = "The authors of acorn, Parts of Another Package, 2026"

ROWS = (
    Part("backbone", "acorn", _SOURCE, "acorn.backbone:Acorn", requires="glocal[learn]"),
    Part("reranker", "worst-first", _SOURCE, "acorn.reranker:worst_first"),
    Part("explainer", "difference", _SOURCE, "acorn.explainer:difference", traits=("one-hit",)),
)
