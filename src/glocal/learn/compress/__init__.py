"""Make trained networks smaller: plan what is left out, then apply the plan to a copy.

A `Compressor` plans how a share of the weights or of the operations is kept; `make_compressor`
makes one by name. Stored vectors are shortened by `glocal.compress`.
"""

from glocal.learn.compress.compressor import Compressor, Evidence, Plan, make_compressor

__all__ = ["Compressor", "Evidence", "Plan", "make_compressor"]
