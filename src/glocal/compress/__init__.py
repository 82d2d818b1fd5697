"""Make stored vectors smaller: keep some of their dimensions, or a few mixtures of them.

A `VectorCompressor` plans on a sample of vectors what is kept; its `Projection` maps the gallery's
vectors and, unchanged, queries. `make_vector_compressor` makes one by name. Networks are made
smaller by `glocal.learn.compress`.
"""

from glocal.compress.projection import Projection
from glocal.compress.vector_compressor import VectorCompressor, make_vector_compressor

__all__ = ["Projection", "VectorCompressor", "make_vector_compressor"]
