"""What a compressor of vectors is; a subclass writes only the mathematics."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from numpy.typing import ArrayLike

from glocal.compress.projection import Floats, Projection, checked_vectors
from glocal.errors import CompressError
from glocal.registry import load, part


class VectorCompressor(ABC):
    """Plans how vectors become shorter, from a sample of them, without labels.

    Its keyword arguments, if any, say how to plan.

    Attributes:
        name: Its name in the registry.
        chooses: Whether it keeps dimensions as they are. What it keeps of a vector that is already
            stored can then be read without a product.
    """

    name: ClassVar[str]
    chooses: ClassVar[bool] = True

    def plan(self, vectors: ArrayLike, dim: int) -> Projection:
        """Decide what is kept.

        Args:
            vectors: ``(n, d)``, a sample of the gallery's; at least 2.
            dim: Numbers to keep of each vector, from 1 to ``d``. A compressor that mixes keeps
                fewer where the sample has not so many directions.

        Raises:
            CompressError: The sample is too small or has no finite numbers, or ``dim`` is not
                possible.
        """
        rows = checked_vectors(vectors, least=2)
        if not 1 <= dim <= rows.shape[1]:
            raise CompressError(
                f"{dim} numbers of {rows.shape[1]} cannot be kept; use 1 to {rows.shape[1]}"
            )
        return self._plan(rows, dim)

    @abstractmethod
    def _plan(self, vectors: Floats, dim: int) -> Projection:
        """Decide from checked vectors."""


def make_vector_compressor(name: str, **settings: Any) -> VectorCompressor:
    """A compressor of vectors by its name in the registry.

    Args:
        name: Such as ``pca``; `glocal.registry.names("compressor", trait="vectors")` lists them.
        settings: Keyword arguments of its class.

    Raises:
        PartError: There is none of that name.
        CompressError: It is for networks, or has no such setting.
    """
    if "vectors" not in part("compressor", name).traits:
        raise CompressError(
            f"the compressor {name!r} makes networks smaller, not vectors; use "
            "glocal.learn.compress.make_compressor"
        )
    try:
        made = load("compressor", name)(**settings)
    except TypeError as error:
        raise CompressError(f"the compressor {name!r} cannot be made so: {error}") from error
    if not isinstance(made, VectorCompressor):
        raise CompressError(
            f"the compressor {name!r} is a {type(made).__name__}, which does not derive from "
            "glocal.compress.VectorCompressor; update or remove the package that has it"
        )
    return made
