"""FreeBind's space bonds: an expert space joins a space that is in use already."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.bridge import Arrays, Bridge, nested, taken
from glocal.upgrade.bridges.cca import KeptCanonicalCorrelation
from glocal.upgrade.vectors import Floats, unit_rows

LEAST_AGREEMENT = 0.99
"""Cosine of the first numbers of a query with its old vector: float16 changes it by less."""


class Projectors:
    """A mixture of projectors between two spaces: each learns from other pairs, their mean is used.

    Args:
        count: Number of projectors; the paper has seven.
        seed: Seed of the pairs that each gets.
    """

    def __init__(self, count: int, seed: int) -> None:
        if count < 1:
            raise BridgeError(f"projectors must be at least 1, not {count!r}")
        self._count, self._seed = count, seed
        self._each: list[KeptCanonicalCorrelation] = []

    def fit(self, source: Floats, target: Floats) -> None:
        """Learn from unit rows, each projector from two thirds of them."""
        random = np.random.default_rng(self._seed)
        self._each = []
        for _ in range(self._count):
            chosen = random.permutation(len(source))[: max(2, len(source) * 2 // 3)]
            projector = KeptCanonicalCorrelation().fit(target[chosen], source[chosen])
            self._each.append(projector)

    def project(self, source: Floats) -> Floats:
        """Unit rows ``(m, d_source)`` as unit rows ``(m, d_target)``."""
        return unit_rows(np.sum([each.queries(source) for each in self._each], axis=0))

    def arrays(self) -> Arrays:
        """The state of all."""
        return {
            f"{number}.{name}": array
            for number, each in enumerate(self._each)
            for name, array in each.arrays().items()
        }

    def restore(
        self, arrays: Mapping[str, NDArray[np.float32]], source_dim: int, target_dim: int
    ) -> None:
        """Take over a state of `arrays`."""
        self._each = []
        for number in range(len({name.partition(".")[0] for name in arrays})):
            projector = KeptCanonicalCorrelation()
            projector.old_dim, projector.new_dim = target_dim, source_dim
            projector.restore(nested(arrays, str(number)))
            self._each.append(projector)
        if not self._each:
            raise BridgeError("it has no projector")


class DisplacementBond(Bridge):
    """The gallery moves into the expert's space: ``g = mean_j ψ_j(y)``; queries stay as they are.

    Source: Wang et al., FreeBind: Free Lunch in Unified Multimodal Space via Knowledge Fusion, ICML
    2024.

    Deviations: the gallery's own images give true pairs, so none are made up from similarities;
    projectors are the maps of ``cca-kept``, in closed form, where the paper trains them by
    contrast.

    Args:
        projectors: How many to average.
        seed: Seed of the projectors.
    """

    name = "displacement"
    keeps_gallery = False
    least_pairs = 4

    def __init__(self, projectors: int = 3, seed: int = 0) -> None:
        super().__init__()
        self._projectors = Projectors(projectors, seed)

    @property
    def dim(self) -> int:
        """That of the new space."""
        return self.new_dim

    def arrays(self) -> Arrays:
        """The projectors."""
        return self._projectors.arrays()

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over the projectors."""
        self._projectors.restore(arrays, self.old_dim, self.new_dim)

    def _fit(self, old: Floats, new: Floats) -> None:
        self._projectors.fit(old, new)

    def _queries(self, new: Floats) -> Floats:
        return new

    def _gallery(self, old: Floats) -> Floats:
        return self._projectors.project(old)


class CombinationBond(Bridge):
    """An expert's view of a query joins the old one: ``q = (1 - γ) u + γ mean_j ψ_j(e)``.

    A query is encoded by both models and its vectors stand one behind the other, the old one first:
    ``[u, e]``. The gallery keeps its old vectors, and what could be searched before still can be:
    with ``γ = 0`` it is the old search.

    Source: Wang et al., FreeBind: Free Lunch in Unified Multimodal Space via Knowledge Fusion, ICML
    2024.

    Deviations: as `DisplacementBond`; both spaces are of images, the expert's own gallery is not
    there, so only queries are combined.

    Args:
        factor: The weight γ of the expert, from 0 to 1; the paper uses .5 where the expert is
            much better and .1 where it is not.
        projectors: How many to average.
        seed: Seed of the projectors.
    """

    name = "combination"
    least_pairs = 4

    def __init__(self, factor: float = 0.5, projectors: int = 3, seed: int = 0) -> None:
        super().__init__()
        if not 0 <= factor <= 1:
            raise BridgeError(f"factor must be from 0 to 1, not {factor!r}")
        self._factor = np.float32(factor)
        self._projectors = Projectors(projectors, seed)

    @property
    def dim(self) -> int:
        """That of the old space."""
        return self.old_dim

    def arrays(self) -> Arrays:
        """The projectors and the weight."""
        held = {f"projector.{name}": rows for name, rows in self._projectors.arrays().items()}
        return held | {"factor": np.asarray([self._factor], np.float32)}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over projectors and weight."""
        self._factor = np.float32(taken(arrays, "factor", 1)[0])
        if not 0 <= self._factor <= 1 or self.new_dim <= self.old_dim:
            raise BridgeError("its factor or its lengths are impossible")
        projectors = nested(arrays, "projector")
        self._projectors.restore(projectors, self.new_dim - self.old_dim, self.old_dim)

    def _fit(self, old: Floats, new: Floats) -> None:
        both, expert = self._parted(new) if self.new_dim > self.old_dim else (None, new)
        if both is None or np.einsum("ij,ij->i", both, old).min() < LEAST_AGREEMENT:
            raise BridgeError(
                "each new vector has to be the image's old vector with the expert's behind it; "
                "encode the images by both models and join their vectors in this order"
            )
        self._projectors.fit(expert, old)

    def _queries(self, new: Floats) -> Floats:
        own, expert = self._parted(new)
        return (1 - self._factor) * own + self._factor * self._projectors.project(expert)

    def _parted(self, new: Floats) -> tuple[Floats, Floats]:
        return unit_rows(new[:, : self.old_dim]), unit_rows(new[:, self.old_dim :])
